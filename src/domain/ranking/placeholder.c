/* Until the first file of this module. */
typedef int aid_placeholder;
