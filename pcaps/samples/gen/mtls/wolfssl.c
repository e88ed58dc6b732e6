/* A TLS client on wolfSSL: wolfssl ADDRESS PORT NAME CERTIFICATE|- COUNT. It
 * makes COUNT connections, the later ones with the session of the first, says a
 * line, reads an answer and prints resumed=0 or resumed=1 for each. */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char file[256], answer[512];
	WOLFSSL_SESSION *session = NULL;
	if (argc != 6)
		return 2;
	wolfSSL_Init();
	WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfTLSv1_3_client_method());
	if (wolfSSL_CTX_load_verify_locations(ctx, "ca.crt", NULL) != WOLFSSL_SUCCESS)
		return 2;
	if (strcmp(argv[4], "-")) {
		snprintf(file, sizeof file, "%s.crt", argv[4]);
		if (wolfSSL_CTX_use_certificate_chain_file(ctx, file) != WOLFSSL_SUCCESS)
			return 2;
		snprintf(file, sizeof file, "%s.key", argv[4]);
		if (wolfSSL_CTX_use_PrivateKey_file(ctx, file, WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS)
			return 2;
	}
	for (int i = 0; i < atoi(argv[5]); i++) {
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
		struct timeval wait = {2, 0};
		inet_pton(AF_INET, argv[1], &to.sin_addr);
		int s = socket(AF_INET, SOCK_STREAM, 0);
		setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
		if (connect(s, (struct sockaddr *)&to, sizeof to))
			return 2;
		WOLFSSL *ssl = wolfSSL_new(ctx);
		wolfSSL_set_fd(ssl, s);
		wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, argv[3], strlen(argv[3]));
		if (session)
			wolfSSL_set_session(ssl, session);
		if (wolfSSL_connect(ssl) != WOLFSSL_SUCCESS) {
			printf("failed %d\n", wolfSSL_get_error(ssl, 0));
		} else {
			wolfSSL_write(ssl, "GET / HTTP/1.0\r\n\r\n", 18);
			wolfSSL_read(ssl, answer, sizeof answer); /* takes in tickets, too */
			printf("resumed=%d\n", wolfSSL_session_reused(ssl));
			if (!session)
				session = wolfSSL_get1_session(ssl);
			wolfSSL_shutdown(ssl);
		}
		wolfSSL_free(ssl);
		close(s);
	}
	return 0;
}
