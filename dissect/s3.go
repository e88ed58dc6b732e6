package dissect

import "bytes"

// The API of Amazon S3 over HTTP, which other object stores speak as well. It
// is known by what its clients and servers say of themselves in headers:
// requests are signed with a scheme of its own (AWS Signature Version 4 and its
// successors), and headers of both sides begin with x-amz-; stores name
// themselves in Server.
//
// Of signatures and keys nothing is kept.

// noteS3 takes in a header that only S3 has.
func noteS3(name, value []byte, request bool, facts *Facts) {
	if len(name) == 0 || name[0]|0x20 != 'x' && name[0]|0x20 != 'a' && name[0]|0x20 != 's' {
		return
	}
	const amz = "x-amz-"
	switch {
	case len(name) > len(amz) && isHeader(name[:len(amz)], amz):
		// Other services of Amazon have the date, the token and the request's
		// number as well; what follows is of S3 alone.
		switch rest := name[len(amz):]; {
		case isHeader(rest, "content-sha256"), isHeader(rest, "bucket-region"), isHeader(rest, "id-2"),
			isHeader(rest, "storage-class"), isHeader(rest, "version-id"), isHeader(rest, "acl"),
			isHeader(rest, "copy-source"), isHeader(rest, "server-side-encryption"), isHeader(rest, "tagging"):
			facts.AddText(HTTPAPI, "s3")
		}
	case request && isHeader(name, "authorization"):
		// The scope of the credential names the service, in clear.
		if bytes.HasPrefix(value, []byte("AWS4-")) && bytes.Contains(value, []byte("/s3/aws4_request")) {
			facts.AddText(HTTPAPI, "s3")
		}
	case !request && isHeader(name, "server"):
		if string(value) == "AmazonS3" || string(value) == "MinIO" {
			facts.AddText(HTTPAPI, "s3")
		}
	}
}
