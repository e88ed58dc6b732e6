/*
 * The limit: the least that any program must do which looks at every packet of
 * a classic pcap file. It reads the file with read(2) in blocks of 256 KiB and
 * touches every record header and the first 64 bytes of every frame; the sum
 * that it prints keeps the compiler from leaving that out.
 *
 * Little-endian captures on little-endian machines, as the generator writes.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 256 << 10, RECORD = 16, TOUCH = 64 };

static unsigned char buf[2 * BLOCK];

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: limit FILE\n");
		return 2;
	}
	int fd = open(argv[1], O_RDONLY);
	if (fd < 0) {
		perror(argv[1]);
		return 2;
	}
	uint64_t sum = 0, packets = 0;
	size_t have = 0, at = 24; /* the file header is skipped */
	for (;;) {
		ssize_t n = read(fd, buf + have, BLOCK);
		if (n <= 0)
			break;
		have += n;
		while (at + RECORD <= have) {
			uint32_t header[4];
			memcpy(header, buf + at, sizeof header);
			size_t next = at + RECORD + header[2];
			if (header[2] > BLOCK - RECORD) {
				fprintf(stderr, "%s: record of %u bytes\n", argv[1], header[2]);
				return 2;
			}
			if (next > have)
				break;
			size_t end = header[2] < TOUCH ? next : at + RECORD + TOUCH;
			size_t i = at + RECORD;
			for (; i + 8 <= end; i += 8) {
				uint64_t word;
				memcpy(&word, buf + i, sizeof word);
				sum += word;
			}
			sum += header[0] ^ header[1] ^ header[3];
			packets++;
			at = next;
		}
		have -= at;
		memmove(buf, buf + at, have);
		at = 0;
	}
	printf("%llu packets, sum %016llx\n", (unsigned long long)packets, (unsigned long long)sum);
	return 0;
}
