/* Named maxima for everything whose size comes from outside. */
#ifndef AID_CORE_BASE_LIMITS_H
#define AID_CORE_BASE_LIMITS_H

#define AID_MAX_IMAGE_SIDE 65536            /* px */
#define AID_MAX_IMAGE_PIXELS (2147483647LL) /* px */
#define AID_MAX_FILE_BYTES (16LL << 30)     /* of one input file, after decompression */
#define AID_MAX_HEADER_CARDS 100000         /* of one HDU */
#define AID_MAX_HDUS 1024                   /* of one file */
#define AID_MAX_KEYWORD 80                  /* bytes, HIERARCH names included */
#define AID_MAX_CARD_VALUE 4096             /* bytes, after CONTINUE */
#define AID_MAX_TABLE_COLUMNS 1024
#define AID_MAX_TABLE_ROWS (20000000LL)
#define AID_MAX_TABLE_BYTES (1LL << 29)  /* of a table as text */
#define AID_MAX_TABLE_MEMORY (8LL << 30) /* bytes of a table's numbers and texts once read */
#define AID_MAX_TABLE_CELL 65536         /* bytes of one text */
#define AID_MAX_THREADS 256
#define AID_MAX_MESSAGE 768 /* bytes of an error message */
#define AID_MAX_NOTES 256   /* remarks of one run */

#endif
