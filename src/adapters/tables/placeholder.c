typedef int aid_placeholder; /* goes away with the first real file of this folder */
