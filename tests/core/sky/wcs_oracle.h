/* What astropy 5.2.1 (WCSLIB 7.12) says of these headers: all_pix2world(x, y, 0), longitudes taken
 * modulo 360, printed with 14 decimals. TAN with PV terms (scamp_tan), which it refuses, must agree
 * with the same terms under the name of TPV; and so must the same header with its two axes
 * exchanged (tpv_swapped), where WCSLIB 7.12 exchanges the coordinates of the polynomials. */
#ifndef AID_TESTS_CORE_SKY_WCS_ORACLE_H
#define AID_TESTS_CORE_SKY_WCS_ORACLE_H

#include "core/base/macros.h"

typedef struct oracle_point {
    double x, y, ra, dec; /* 0-based px, deg */
} oracle_point;
typedef struct oracle_case {
    const char *name, *cards;
    const oracle_point *points;
    int count;
} oracle_case;

static const char tan_text[] = "CTYPE1 = 'RA---TAN'\n"
                               "CTYPE2 = 'DEC--TAN'\n"
                               "CRPIX1 = 1000.5\n"
                               "CRPIX2 = 1100.25\n"
                               "CRVAL1 = 150.1163\n"
                               "CRVAL2 = 2.2058\n"
                               "CD1_1 = -7.1E-5\n"
                               "CD1_2 = 1.3E-5\n"
                               "CD2_1 = 1.29E-5\n"
                               "CD2_2 = 7.12E-5\n"
                               "RADESYS = 'ICRS'\n";
static const oracle_point tan_points[] = {{1023.5, 1023.5, 150.11360926542491, 2.20071619758896},
                                          {0.0, 0.0, 150.17301278126737, 2.11463889194962},
                                          {2047.0, 3.25, 150.02761770323812, 2.14127501475646},
                                          {12.5, 2047.0, 150.19876182794312, 2.26054514453617},
                                          {1843.2, 1433.6, 150.06070137465241, 2.24048839197422}};
static const char sin_slant_text[] = "CTYPE1 = 'RA---SIN'\n"
                                     "CTYPE2 = 'DEC--SIN'\n"
                                     "CRPIX1 = 1025.0\n"
                                     "CRPIX2 = 1025.0\n"
                                     "CRVAL1 = 79.95701\n"
                                     "CRVAL2 = -45.779\n"
                                     "CDELT1 = -8.19629704013E-03\n"
                                     "CDELT2 = 8.19629704013E-03\n"
                                     "PV2_1 = -0.755124458581295\n"
                                     "PV2_2 = 0.209028857410973\n"
                                     "RADESYS = 'ICRS'\n";
static const oracle_point sin_slant_points[] = {
    {1023.5, 1023.5, 79.96288683921581, -45.78309805918030},
    {0.0, 0.0, 96.15691925235561, -53.53326906091238},
    {2047.0, 3.25, 67.12260101805872, -53.80639730475643},
    {12.5, 2047.0, 91.68413815682035, -36.95551167659983},
    {1843.2, 1433.6, 71.32304042239473, -42.16844922117573}};
static const char zea_lonpole_text[] = "CTYPE1 = 'RA---ZEA'\n"
                                       "CTYPE2 = 'DEC--ZEA'\n"
                                       "CRPIX1 = 300.0\n"
                                       "CRPIX2 = 201.0\n"
                                       "CRVAL1 = 12.5\n"
                                       "CRVAL2 = -88.0\n"
                                       "CDELT1 = -0.05\n"
                                       "CDELT2 = 0.05\n"
                                       "PC1_1 = 0.8\n"
                                       "PC1_2 = -0.6\n"
                                       "PC2_1 = 0.6\n"
                                       "PC2_2 = 0.8\n"
                                       "LONPOLE = 150.0\n"
                                       "RADESYS = 'ICRS'\n";
static const oracle_point zea_lonpole_points[] = {
    {299.5, 199.5, 11.69437744611243, -88.02163472118669},
    {0.0, 0.0, 138.14006964309050, -73.17568581970966},
    {599.0, 3.25, 261.89217136497734, -72.78631165735338},
    {12.5, 399.0, 69.28963031219334, -71.47227712256525},
    {540.0, 280.0, 315.19532227540333, -76.30665825258104}};
static const char car_oblique_text[] = "CTYPE1 = 'RA---CAR'\n"
                                       "CTYPE2 = 'DEC--CAR'\n"
                                       "CRPIX1 = 360.5\n"
                                       "CRPIX2 = 180.5\n"
                                       "CRVAL1 = 40.0\n"
                                       "CRVAL2 = 30.0\n"
                                       "CDELT1 = -0.1\n"
                                       "CDELT2 = 0.1\n"
                                       "RADESYS = 'ICRS'\n";
static const oracle_point car_oblique_points[] = {
    {359.5, 179.5, 40.00000000000000, 30.00000000000000},
    {0.0, 0.0, 74.22498365825871, 6.78624095945525},
    {719.0, 3.25, 5.67820167712205, 7.09670649352765},
    {12.5, 359.0, 85.98577575938327, 41.14456193858427},
    {648.0, 251.99999999999997, 5.22623291932314, 32.93813095594205}};
static const char stg_arcsec_text[] = "CTYPE1 = 'RA---STG'\n"
                                      "CTYPE2 = 'DEC--STG'\n"
                                      "CUNIT1 = 'arcsec'\n"
                                      "CUNIT2 = 'arcsec'\n"
                                      "CRPIX1 = 250.0\n"
                                      "CRPIX2 = 250.0\n"
                                      "CRVAL1 = 720000.0\n"
                                      "CRVAL2 = 162000.0\n"
                                      "CDELT1 = -12.0\n"
                                      "CDELT2 = 12.0\n"
                                      "RADESYS = 'ICRS'\n";
static const oracle_point stg_arcsec_points[] = {
    {249.5, 249.5, 199.99764290883138, 45.00166664242483},
    {0.0, 0.0, 201.15699855237261, 44.16413210081801},
    {499.0, 3.25, 198.83814070484829, 44.17491586478931},
    {12.5, 499.0, 201.13129418439817, 45.82777576824326},
    {450.0, 350.0, 199.04692327669349, 45.33271384766358}};
static const char arc_crota_text[] = "CTYPE1 = 'RA---ARC'\n"
                                     "CTYPE2 = 'DEC--ARC'\n"
                                     "CRPIX1 = 250.0\n"
                                     "CRPIX2 = 250.0\n"
                                     "CRVAL1 = 359.9\n"
                                     "CRVAL2 = -30.0\n"
                                     "CDELT1 = -0.001\n"
                                     "CDELT2 = 0.0012\n"
                                     "CROTA2 = 33.0\n"
                                     "RADESYS = 'ICRS'\n";
static const oracle_point arc_crota_points[] = {
    {249.5, 249.5, 359.89913845833405, -29.99976911437193},
    {0.0, 0.0, 0.32954498353399, -30.11428243347057},
    {499.0, 3.25, 359.84313721695554, -30.38347149149014},
    {12.5, 499.0, 359.94020772573685, -29.61958558905802},
    {450.0, 350.0, 359.62910598445416, -30.00754827488890}};
static const char ait_text[] = "CTYPE1 = 'RA---AIT'\n"
                               "CTYPE2 = 'DEC--AIT'\n"
                               "CRPIX1 = 500.5\n"
                               "CRPIX2 = 250.5\n"
                               "CRVAL1 = 180.0\n"
                               "CRVAL2 = 0.0\n"
                               "CDELT1 = -0.2\n"
                               "CDELT2 = 0.2\n"
                               "RADESYS = 'ICRS'\n";
static const oracle_point ait_points[] = {{499.5, 249.5, 180.00000000000000, 0.00000000000000},
                                          {0.0, 0.0, 321.35893513652064, -43.31169625102416},
                                          {999.0, 3.25, 39.94813681779610, -42.82054054291519},
                                          {12.5, 499.0, 317.91158860356518, 43.72036075301100},
                                          {900.0, 350.0, 94.35189820655452, 18.83694973665914}};
static const char zpn_text[] = "CTYPE1 = 'RA---ZPN'\n"
                               "CTYPE2 = 'DEC--ZPN'\n"
                               "CRPIX1 = 256.0\n"
                               "CRPIX2 = 256.0\n"
                               "CRVAL1 = 83.6\n"
                               "CRVAL2 = 22.0\n"
                               "CDELT1 = -0.002\n"
                               "CDELT2 = 0.002\n"
                               "PV2_1 = 1.0\n"
                               "PV2_3 = 42.0\n"
                               "PV2_5 = -10.0\n"
                               "RADESYS = 'ICRS'\n";
static const oracle_point zpn_points[] = {{255.5, 255.5, 83.59892145767938, 22.00099999644854},
                                          {0.0, 0.0, 84.14452964927024, 21.49243277333179},
                                          {511.0, 3.25, 83.05327985556040, 21.49885494588203},
                                          {12.5, 511.0, 84.12170632447783, 22.50797474139909},
                                          {460.8, 358.4, 83.15662498070691, 22.20564640714043}};
static const char coe_text[] = "CTYPE1 = 'RA---COE'\n"
                               "CTYPE2 = 'DEC--COE'\n"
                               "CRPIX1 = 256.0\n"
                               "CRPIX2 = 256.0\n"
                               "CRVAL1 = 10.0\n"
                               "CRVAL2 = 45.0\n"
                               "CDELT1 = -0.1\n"
                               "CDELT2 = 0.1\n"
                               "PV2_1 = 45.0\n"
                               "PV2_2 = 10.0\n"
                               "RADESYS = 'ICRS'\n";
static const oracle_point coe_points[] = {{255.5, 255.5, 9.92814435767773, 45.04922442718406},
                                          {0.0, 0.0, 34.58025418936177, 15.02335106668131},
                                          {511.0, 3.25, 345.23755674687425, 15.32940040504445},
                                          {12.5, 511.0, 63.72641430568075, 62.42455264599622},
                                          {460.8, 358.4, 336.01771789811733, 50.94409530145897}};
static const char sfl_fiducial_text[] = "CTYPE1 = 'RA---SFL'\n"
                                        "CTYPE2 = 'DEC--SFL'\n"
                                        "CRPIX1 = 256.0\n"
                                        "CRPIX2 = 256.0\n"
                                        "CRVAL1 = 10.0\n"
                                        "CRVAL2 = 20.0\n"
                                        "CDELT1 = -0.1\n"
                                        "CDELT2 = 0.1\n"
                                        "PV1_0 = 1\n"
                                        "PV1_1 = 0.0\n"
                                        "PV1_2 = 20.0\n"
                                        "PV1_3 = 0.0\n"
                                        "RADESYS = 'ICRS'\n";
static const oracle_point sfl_fiducial_points[] = {
    {255.5, 255.5, 9.94677418531805, 20.05000000000000},
    {0.0, 0.0, 35.61793991360376, -5.50000000000000},
    {511.0, 3.25, 344.29522346837769, -5.17500000000000},
    {12.5, 511.0, 44.65952636907773, 45.60000000000000},
    {460.8, 358.4, 346.15414609304105, 30.34000000000000}};
static const char gls_text[] = "CTYPE1 = 'RA---GLS'\n"
                               "CTYPE2 = 'DEC--GLS'\n"
                               "CRPIX1 = 256.0\n"
                               "CRPIX2 = 256.0\n"
                               "CRVAL1 = 10.0\n"
                               "CRVAL2 = 20.0\n"
                               "CDELT1 = -0.1\n"
                               "CDELT2 = 0.1\n"
                               "RADESYS = 'ICRS'\n";
static const oracle_point gls_points[] = {{255.5, 255.5, 9.94677418531805, 20.05000000000000},
                                          {0.0, 0.0, 35.61793991360376, -5.50000000000000},
                                          {511.0, 3.25, 344.29522346837769, -5.17500000000000},
                                          {12.5, 511.0, 44.65952636907773, 45.60000000000000},
                                          {460.8, 358.4, 346.15414609304105, 30.34000000000000}};
static const char ncp_text[] = "CTYPE1 = 'RA---NCP'\n"
                               "CTYPE2 = 'DEC--NCP'\n"
                               "CRPIX1 = 256.0\n"
                               "CRPIX2 = 256.0\n"
                               "CRVAL1 = 10.0\n"
                               "CRVAL2 = 60.0\n"
                               "CDELT1 = -0.01\n"
                               "CDELT2 = 0.01\n"
                               "RADESYS = 'ICRS'\n";
static const oracle_point ncp_points[] = {{255.5, 255.5, 9.98999848847964, 60.00499937011748},
                                          {0.0, 0.0, 14.72426048252090, 57.29054914612521},
                                          {511.0, 3.25, 5.25298708106626, 57.32289823692576},
                                          {12.5, 511.0, 15.24214245152008, 62.40341955774286},
                                          {460.8, 358.4, 5.75895412220552, 60.94158555721134}};
static const char pole_text[] = "CTYPE1 = 'RA---TAN'\n"
                                "CTYPE2 = 'DEC--TAN'\n"
                                "CRPIX1 = 256.0\n"
                                "CRPIX2 = 256.0\n"
                                "CRVAL1 = 77.0\n"
                                "CRVAL2 = 90.0\n"
                                "CDELT1 = -0.01\n"
                                "CDELT2 = 0.01\n"
                                "RADESYS = 'ICRS'\n";
static const oracle_point pole_points[] = {{255.5, 255.5, 122.00000000000000, 89.99292893222403},
                                           {0.0, 0.0, 302.00000000000000, 86.39850623421927},
                                           {511.0, 3.25, 211.52043057338241, 86.41422835554908},
                                           {12.5, 511.0, 33.55126181532086, 86.47822232801522},
                                           {460.8, 358.4, 140.32369502194291, 87.69808495669933}};
static const char swapped_text[] = "CTYPE1 = 'DEC--TAN'\n"
                                   "CTYPE2 = 'RA---TAN'\n"
                                   "CRPIX1 = 256.0\n"
                                   "CRPIX2 = 256.0\n"
                                   "CRVAL1 = -20.0\n"
                                   "CRVAL2 = 0.01\n"
                                   "CD1_1 = 2.0E-4\n"
                                   "CD1_2 = 1.0E-5\n"
                                   "CD2_1 = 1.2E-5\n"
                                   "CD2_2 = -2.0E-4\n"
                                   "RADESYS = 'ICRS'\n";
static const oracle_point swapped_points[] = {
    {255.5, 255.5, 0.00989996735611, -19.99989499997193},
    {0.0, 0.0, 0.06103402943448, -20.05354266341078},
    {511.0, 3.25, 0.06683291047941, -19.95130847098302},
    {12.5, 511.0, 359.95240055071616, -20.04593066727386},
    {460.8, 358.4, 359.99062609074548, -19.95780495674073}};
static const char wrap_text[] = "CTYPE1 = 'RA---TAN'\n"
                                "CTYPE2 = 'DEC--TAN'\n"
                                "CRPIX1 = 256.0\n"
                                "CRPIX2 = 256.0\n"
                                "CRVAL1 = -0.01\n"
                                "CRVAL2 = 60.0\n"
                                "CDELT1 = -0.001\n"
                                "CDELT2 = 0.001\n"
                                "RADESYS = 'ICRS'\n";
static const oracle_point wrap_points[] = {{255.5, 255.5, 359.98899998488486, 60.00049999622119},
                                           {0.0, 0.0, 0.49608550199787, 59.74402890366061},
                                           {511.0, 3.25, 359.48188041582722, 59.74727106744449},
                                           {12.5, 511.0, 0.47877077213968, 60.25510023943339},
                                           {460.8, 358.4, 359.57711654144879, 60.10275705086141}};
static const char sip_text[] = "CTYPE1 = 'RA---TAN-SIP'\n"
                               "CTYPE2 = 'DEC--TAN-SIP'\n"
                               "CRPIX1 = 1024.5\n"
                               "CRPIX2 = 1024.5\n"
                               "CRVAL1 = 210.8\n"
                               "CRVAL2 = 54.35\n"
                               "CD1_1 = -1.4E-4\n"
                               "CD1_2 = 2.0E-6\n"
                               "CD2_1 = 2.1E-6\n"
                               "CD2_2 = 1.4E-4\n"
                               "A_ORDER = 3\n"
                               "A_2_0 = 2.1E-6\n"
                               "A_1_1 = -1.3E-6\n"
                               "A_0_2 = 8.0E-7\n"
                               "A_3_0 = -4.0E-10\n"
                               "A_1_2 = -4.1E-10\n"
                               "A_2_1 = 1.0E-11\n"
                               "B_ORDER = 4\n"
                               "B_2_0 = -6.0E-7\n"
                               "B_1_1 = 2.4E-6\n"
                               "B_0_2 = -1.1E-6\n"
                               "B_2_1 = -4.0E-10\n"
                               "B_0_3 = -3.9E-10\n"
                               "B_1_3 = 2.0E-14\n"
                               "RADESYS = 'ICRS'\n";
static const oracle_point sip_points[] = {{1023.5, 1023.5, 210.80000000000001, 54.35000000000000},
                                          {0.0, 0.0, 211.04088327938661, 54.20455037181741},
                                          {2047.0, 3.25, 210.55065003840835, 54.20858025533715},
                                          {12.5, 2047.0, 211.04593619017382, 54.49021292805451},
                                          {1843.2, 1433.6, 210.60402869140717, 54.40899005672897}};
static const char sip_linear_terms_text[] = "CTYPE1 = 'RA---TAN-SIP'\n"
                                            "CTYPE2 = 'DEC--TAN-SIP'\n"
                                            "CRPIX1 = 1024.5\n"
                                            "CRPIX2 = 1024.5\n"
                                            "CRVAL1 = 210.8\n"
                                            "CRVAL2 = 54.35\n"
                                            "CD1_1 = -1.4E-4\n"
                                            "CD1_2 = 2.0E-6\n"
                                            "CD2_1 = 2.1E-6\n"
                                            "CD2_2 = 1.4E-4\n"
                                            "A_ORDER = 3\n"
                                            "A_2_0 = 2.1E-6\n"
                                            "A_1_1 = -1.3E-6\n"
                                            "A_0_2 = 8.0E-7\n"
                                            "A_3_0 = -4.0E-10\n"
                                            "A_1_2 = -4.1E-10\n"
                                            "A_2_1 = 1.0E-11\n"
                                            "B_ORDER = 4\n"
                                            "B_2_0 = -6.0E-7\n"
                                            "B_1_1 = 2.4E-6\n"
                                            "B_0_2 = -1.1E-6\n"
                                            "B_2_1 = -4.0E-10\n"
                                            "B_0_3 = -3.9E-10\n"
                                            "B_1_3 = 2.0E-14\n"
                                            "A_1_0 = 1.0E-4\n"
                                            "A_0_1 = -2.0E-4\n"
                                            "B_0_1 = 3.0E-4\n"
                                            "A_0_0 = 0.25\n"
                                            "RADESYS = 'ICRS'\n";
static const oracle_point sip_linear_terms_points[] = {
    {1023.5, 1023.5, 210.79993994842141, 54.35000052498508},
    {0.0, 0.0, 211.04079764560123, 54.20450829567581},
    {2047.0, 3.25, 210.55051605314813, 54.20853829671169},
    {12.5, 2047.0, 211.04595095409738, 54.49025576778065},
    {1843.2, 1433.6, 210.60396890399986, 54.40900770904194}};
static const char sip_and_pv_text[] = "CTYPE1 = 'RA---TAN-SIP'\n"
                                      "CTYPE2 = 'DEC--TAN-SIP'\n"
                                      "CRPIX1 = 1024.5\n"
                                      "CRPIX2 = 1024.5\n"
                                      "CRVAL1 = 210.8\n"
                                      "CRVAL2 = 54.35\n"
                                      "CD1_1 = -1.4E-4\n"
                                      "CD1_2 = 2.0E-6\n"
                                      "CD2_1 = 2.1E-6\n"
                                      "CD2_2 = 1.4E-4\n"
                                      "A_ORDER = 3\n"
                                      "A_2_0 = 2.1E-6\n"
                                      "A_1_1 = -1.3E-6\n"
                                      "A_0_2 = 8.0E-7\n"
                                      "A_3_0 = -4.0E-10\n"
                                      "A_1_2 = -4.1E-10\n"
                                      "A_2_1 = 1.0E-11\n"
                                      "B_ORDER = 4\n"
                                      "B_2_0 = -6.0E-7\n"
                                      "B_1_1 = 2.4E-6\n"
                                      "B_0_2 = -1.1E-6\n"
                                      "B_2_1 = -4.0E-10\n"
                                      "B_0_3 = -3.9E-10\n"
                                      "B_1_3 = 2.0E-14\n"
                                      "PV1_1 = 1.0\n"
                                      "PV1_2 = 0.0\n"
                                      "PV1_4 = 0.01\n"
                                      "PV2_1 = 1.0\n"
                                      "PV2_5 = 0.02\n"
                                      "RADESYS = 'ICRS'\n";
static const oracle_point sip_and_pv_points[] = {
    {1023.5, 1023.5, 210.80000000000001, 54.35000000000000},
    {0.0, 0.0, 211.04088327938661, 54.20455037181741},
    {2047.0, 3.25, 210.55065003840835, 54.20858025533715},
    {12.5, 2047.0, 211.04593619017382, 54.49021292805451},
    {1843.2, 1433.6, 210.60402869140717, 54.40899005672897}};
static const char tpv_text[] = "CTYPE1 = 'RA---TPV'\n"
                               "CTYPE2 = 'DEC--TPV'\n"
                               "CRPIX1 = 1500.0\n"
                               "CRPIX2 = -300.0\n"
                               "CRVAL1 = 333.44\n"
                               "CRVAL2 = 3.089\n"
                               "CD1_1 = 2.8E-4\n"
                               "CD1_2 = -5.0E-6\n"
                               "CD2_1 = -2.1E-6\n"
                               "CD2_2 = -2.81E-4\n"
                               "PV1_0 = 1.0E-4\n"
                               "PV1_1 = 1.0002\n"
                               "PV1_2 = 3.0E-4\n"
                               "PV1_4 = 8.1E-4\n"
                               "PV1_5 = 6.1E-4\n"
                               "PV1_6 = 2.5E-4\n"
                               "PV1_7 = 1.0E-3\n"
                               "PV1_8 = -4.6E-4\n"
                               "PV1_9 = -4.3E-4\n"
                               "PV1_10 = -1.5E-3\n"
                               "PV1_12 = -2.0E-3\n"
                               "PV1_14 = 2.1E-3\n"
                               "PV1_16 = -1.8E-4\n"
                               "PV2_0 = -2.0E-4\n"
                               "PV2_1 = 0.9997\n"
                               "PV2_2 = -1.0E-4\n"
                               "PV2_4 = 2.7E-4\n"
                               "PV2_5 = 8.7E-4\n"
                               "PV2_6 = -1.2E-4\n"
                               "PV2_7 = -1.1E-3\n"
                               "PV2_8 = 7.4E-4\n"
                               "PV2_9 = -3.1E-3\n"
                               "PV2_10 = -2.6E-4\n"
                               "PV2_12 = -7.4E-4\n"
                               "PV2_13 = 8.3E-3\n"
                               "PV2_15 = -2.0E-3\n"
                               "PV2_16 = 5.2E-3\n"
                               "RADESYS = 'ICRS'\n";
static const oracle_point tpv_points[] = {{1023.5, 1023.5, 333.30021313006563, 2.71792691150357},
                                          {0.0, 0.0, 333.01823310538049, 3.00757864665543},
                                          {2047.0, 3.25, 333.59224830107502, 3.00215240667096},
                                          {12.5, 2047.0, 333.01248135311590, 2.43418103614504},
                                          {1843.2, 1433.6, 333.52796253954773, 2.60085632715363}};
static const char scamp_tan_text[] = "CTYPE1 = 'RA---TAN'\n"
                                     "CTYPE2 = 'DEC--TAN'\n"
                                     "CRPIX1 = 1500.0\n"
                                     "CRPIX2 = -300.0\n"
                                     "CRVAL1 = 333.44\n"
                                     "CRVAL2 = 3.089\n"
                                     "CD1_1 = 2.8E-4\n"
                                     "CD1_2 = -5.0E-6\n"
                                     "CD2_1 = -2.1E-6\n"
                                     "CD2_2 = -2.81E-4\n"
                                     "PV1_0 = 1.0E-4\n"
                                     "PV1_1 = 1.0002\n"
                                     "PV1_2 = 3.0E-4\n"
                                     "PV1_4 = 8.1E-4\n"
                                     "PV1_5 = 6.1E-4\n"
                                     "PV1_6 = 2.5E-4\n"
                                     "PV1_7 = 1.0E-3\n"
                                     "PV1_8 = -4.6E-4\n"
                                     "PV1_9 = -4.3E-4\n"
                                     "PV1_10 = -1.5E-3\n"
                                     "PV1_12 = -2.0E-3\n"
                                     "PV1_14 = 2.1E-3\n"
                                     "PV1_16 = -1.8E-4\n"
                                     "PV2_0 = -2.0E-4\n"
                                     "PV2_1 = 0.9997\n"
                                     "PV2_2 = -1.0E-4\n"
                                     "PV2_4 = 2.7E-4\n"
                                     "PV2_5 = 8.7E-4\n"
                                     "PV2_6 = -1.2E-4\n"
                                     "PV2_7 = -1.1E-3\n"
                                     "PV2_8 = 7.4E-4\n"
                                     "PV2_9 = -3.1E-3\n"
                                     "PV2_10 = -2.6E-4\n"
                                     "PV2_12 = -7.4E-4\n"
                                     "PV2_13 = 8.3E-3\n"
                                     "PV2_15 = -2.0E-3\n"
                                     "PV2_16 = 5.2E-3\n"
                                     "RADESYS = 'ICRS'\n";
static const char tpv_swapped_text[] = "CTYPE2 = 'RA---TPV'\n"
                                       "CTYPE1 = 'DEC--TPV'\n"
                                       "CRPIX1 = 1500.0\n"
                                       "CRPIX2 = -300.0\n"
                                       "CRVAL2 = 333.44\n"
                                       "CRVAL1 = 3.089\n"
                                       "CD2_1 = 2.8E-4\n"
                                       "CD2_2 = -5.0E-6\n"
                                       "CD1_1 = -2.1E-6\n"
                                       "CD1_2 = -2.81E-4\n"
                                       "PV2_0 = 1.0E-4\n"
                                       "PV2_1 = 1.0002\n"
                                       "PV2_2 = 3.0E-4\n"
                                       "PV2_4 = 8.1E-4\n"
                                       "PV2_5 = 6.1E-4\n"
                                       "PV2_6 = 2.5E-4\n"
                                       "PV2_7 = 1.0E-3\n"
                                       "PV2_8 = -4.6E-4\n"
                                       "PV2_9 = -4.3E-4\n"
                                       "PV2_10 = -1.5E-3\n"
                                       "PV2_12 = -2.0E-3\n"
                                       "PV2_14 = 2.1E-3\n"
                                       "PV2_16 = -1.8E-4\n"
                                       "PV1_0 = -2.0E-4\n"
                                       "PV1_1 = 0.9997\n"
                                       "PV1_2 = -1.0E-4\n"
                                       "PV1_4 = 2.7E-4\n"
                                       "PV1_5 = 8.7E-4\n"
                                       "PV1_6 = -1.2E-4\n"
                                       "PV1_7 = -1.1E-3\n"
                                       "PV1_8 = 7.4E-4\n"
                                       "PV1_9 = -3.1E-3\n"
                                       "PV1_10 = -2.6E-4\n"
                                       "PV1_12 = -7.4E-4\n"
                                       "PV1_13 = 8.3E-3\n"
                                       "PV1_15 = -2.0E-3\n"
                                       "PV1_16 = 5.2E-3\n"
                                       "RADESYS = 'ICRS'\n";
static const char tpv_high_text[] = "CTYPE1 = 'RA---TPV'\n"
                                    "CTYPE2 = 'DEC--TPV'\n"
                                    "CRPIX1 = 1500.0\n"
                                    "CRPIX2 = -300.0\n"
                                    "CRVAL1 = 333.44\n"
                                    "CRVAL2 = 3.089\n"
                                    "CD1_1 = 2.8E-4\n"
                                    "CD1_2 = -5.0E-6\n"
                                    "CD2_1 = -2.1E-6\n"
                                    "CD2_2 = -2.81E-4\n"
                                    "PV1_1 = 1.0\n"
                                    "PV2_1 = 1.0\n"
                                    "PV1_3 = 1.0E-3\n"
                                    "PV1_11 = 2.0E-3\n"
                                    "PV1_17 = 1.0E-3\n"
                                    "PV1_18 = -2.0E-3\n"
                                    "PV1_20 = 3.0E-3\n"
                                    "PV1_22 = 1.0E-3\n"
                                    "PV1_23 = 5.0E-3\n"
                                    "PV1_24 = 1.0E-3\n"
                                    "PV1_27 = 2.0E-3\n"
                                    "PV1_30 = -3.0E-3\n"
                                    "PV1_31 = 1.0E-3\n"
                                    "PV1_35 = 4.0E-3\n"
                                    "PV1_38 = 2.0E-3\n"
                                    "PV1_39 = 1.0E-3\n"
                                    "PV2_3 = -1.0E-3\n"
                                    "PV2_11 = 1.0E-3\n"
                                    "PV2_19 = 2.0E-3\n"
                                    "PV2_21 = -1.0E-3\n"
                                    "PV2_25 = 3.0E-3\n"
                                    "PV2_29 = 1.0E-3\n"
                                    "PV2_32 = 2.0E-3\n"
                                    "PV2_37 = -1.0E-3\n"
                                    "PV2_39 = 2.0E-3\n"
                                    "RADESYS = 'ICRS'\n";
static const oracle_point tpv_high_points[] = {
    {1023.5, 1023.5, 333.30063649308102, 2.71748047547757},
    {0.0, 0.0, 333.01886024445804, 3.00714507431418},
    {2047.0, 3.25, 333.59231380657502, 3.00217490462564},
    {12.5, 2047.0, 333.01449596066141, 2.43237653264007},
    {1843.2, 1433.6, 333.52860419363731, 2.60049742622012}};
static const char cube_text[] = "WCSAXES = 4\n"
                                "CTYPE1 = 'RA---SIN'\n"
                                "CTYPE2 = 'DEC--SIN'\n"
                                "CTYPE3 = 'STOKES'\n"
                                "CTYPE4 = 'FREQ'\n"
                                "CRPIX1 = 256.0\n"
                                "CRPIX2 = 256.0\n"
                                "CRPIX3 = 1\n"
                                "CRPIX4 = 1\n"
                                "CRVAL1 = 35.33\n"
                                "CRVAL2 = -4.5\n"
                                "CRVAL3 = 1\n"
                                "CRVAL4 = 3.2E8\n"
                                "CDELT1 = -0.00055\n"
                                "CDELT2 = 0.00055\n"
                                "CDELT3 = 1\n"
                                "CDELT4 = 3.3E7\n"
                                "RADESYS = 'ICRS'\n";
static const oracle_point cube_points[] = {{255.5, 255.5, 35.32972414974961, -4.49972499994805},
                                           {0.0, 0.0, 35.47071134887623, -4.64023662791818},
                                           {511.0, 3.25, 35.18873719845147, -4.63844901648087},
                                           {12.5, 511.0, 35.46376207517511, -4.35918764311341},
                                           {460.8, 358.4, 35.21646873388972, -4.44312119204189}};
static const oracle_case cases[] = {
    {"tan", tan_text, tan_points, (int)AID_COUNT_OF(tan_points)},
    {"sin_slant", sin_slant_text, sin_slant_points, (int)AID_COUNT_OF(sin_slant_points)},
    {"zea_lonpole", zea_lonpole_text, zea_lonpole_points, (int)AID_COUNT_OF(zea_lonpole_points)},
    {"car_oblique", car_oblique_text, car_oblique_points, (int)AID_COUNT_OF(car_oblique_points)},
    {"stg_arcsec", stg_arcsec_text, stg_arcsec_points, (int)AID_COUNT_OF(stg_arcsec_points)},
    {"arc_crota", arc_crota_text, arc_crota_points, (int)AID_COUNT_OF(arc_crota_points)},
    {"ait", ait_text, ait_points, (int)AID_COUNT_OF(ait_points)},
    {"zpn", zpn_text, zpn_points, (int)AID_COUNT_OF(zpn_points)},
    {"coe", coe_text, coe_points, (int)AID_COUNT_OF(coe_points)},
    {"sfl_fiducial", sfl_fiducial_text, sfl_fiducial_points,
     (int)AID_COUNT_OF(sfl_fiducial_points)},
    {"gls", gls_text, gls_points, (int)AID_COUNT_OF(gls_points)},
    {"ncp", ncp_text, ncp_points, (int)AID_COUNT_OF(ncp_points)},
    {"pole", pole_text, pole_points, (int)AID_COUNT_OF(pole_points)},
    {"swapped", swapped_text, swapped_points, (int)AID_COUNT_OF(swapped_points)},
    {"wrap", wrap_text, wrap_points, (int)AID_COUNT_OF(wrap_points)},
    {"sip", sip_text, sip_points, (int)AID_COUNT_OF(sip_points)},
    {"sip_linear_terms", sip_linear_terms_text, sip_linear_terms_points,
     (int)AID_COUNT_OF(sip_linear_terms_points)},
    {"sip_and_pv", sip_and_pv_text, sip_and_pv_points, (int)AID_COUNT_OF(sip_and_pv_points)},
    {"tpv", tpv_text, tpv_points, (int)AID_COUNT_OF(tpv_points)},
    {"scamp_tan", scamp_tan_text, tpv_points, (int)AID_COUNT_OF(tpv_points)},
    {"tpv_swapped", tpv_swapped_text, tpv_points, (int)AID_COUNT_OF(tpv_points)},
    {"tpv_high", tpv_high_text, tpv_high_points, (int)AID_COUNT_OF(tpv_high_points)},
    {"cube", cube_text, cube_points, (int)AID_COUNT_OF(cube_points)}};

#endif
