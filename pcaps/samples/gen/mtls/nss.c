/* A TLS client on NSS: nss ADDRESS PORT NAME CERTIFICATE|- COUNT. The database
 * of the certificate is the directory CERTIFICATE.nss, with its one certificate
 * named "client". It makes COUNT connections, says a line, reads an answer and
 * prints resumed=0 or resumed=1 for each. */
#include <nss.h>
#include <pk11pub.h>
#include <nspr.h>
#include <ssl.h>
#include <sslproto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static SECStatus trust(void *arg, PRFileDesc *fd, PRBool check, PRBool server) { return SECSuccess; }

int main(int argc, char **argv)
{
	char dir[256], answer[512];
	PRNetAddr to;
	SSLVersionRange only = {SSL_LIBRARY_VERSION_TLS_1_3, SSL_LIBRARY_VERSION_TLS_1_3};
	if (argc != 6)
		return 2;
	int shows = strcmp(argv[4], "-") != 0;
	snprintf(dir, sizeof dir, "sql:%s.nss", argv[4]);
	if ((shows ? NSS_Init(dir) : NSS_NoDB_Init(NULL)) != SECSuccess)
		return 2;
	NSS_SetDomesticPolicy();
	for (int i = 0; i < atoi(argv[5]); i++) {
		SSLChannelInfo info = {0};
		PRFileDesc *fd = SSL_ImportFD(NULL, PR_NewTCPSocket());
		SSL_VersionRangeSet(fd, &only);
		SSL_OptionSet(fd, SSL_ENABLE_SESSION_TICKETS, PR_TRUE);
		SSL_AuthCertificateHook(fd, trust, NULL);
		if (shows)
			SSL_GetClientAuthDataHook(fd, NSS_GetClientAuthData, "client");
		SSL_SetURL(fd, argv[3]);
		PR_StringToNetAddr(argv[1], &to);
		to.inet.port = PR_htons(atoi(argv[2]));
		if (PR_Connect(fd, &to, PR_SecondsToInterval(5)) != PR_SUCCESS)
			return 2;
		SSL_ResetHandshake(fd, PR_FALSE);
		if (SSL_ForceHandshakeWithTimeout(fd, PR_SecondsToInterval(5)) != SECSuccess) {
			printf("failed %d\n", PR_GetError());
		} else {
			SSL_GetChannelInfo(fd, &info, sizeof info);
			PR_Send(fd, "GET / HTTP/1.0\r\n\r\n", 18, 0, PR_SecondsToInterval(2));
			PR_Recv(fd, answer, sizeof answer, 0, PR_SecondsToInterval(2));
			printf("resumed=%d\n", info.resumed);
		}
		PR_Close(fd);
	}
	return 0;
}
