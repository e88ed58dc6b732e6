//go:build ignore

// A TLS server on Go's crypto/tls: peer server PORT POLICY. See matrix.py.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"
)

func main() {
	pair, err := tls.LoadX509KeyPair("server.crt", "server.key")
	if err != nil {
		panic(err)
	}
	ca, err := os.ReadFile("ca.crt")
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	auth := map[string]tls.ClientAuthType{"none": tls.NoClientCert, "request": tls.RequestClientCert, "require": tls.RequireAndVerifyClientCert}[os.Args[3]]
	listener, err := tls.Listen("tcp4", "0.0.0.0:"+os.Args[2], &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: auth, ClientCAs: roots})
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	for {
		c, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		conn := c.(*tls.Conn)
		conn.SetDeadline(time.Now().Add(3 * time.Second))
		if err := conn.Handshake(); err != nil {
			fmt.Println("refused", err)
		} else {
			fmt.Printf("certs=%d\n", len(conn.ConnectionState().PeerCertificates))
			conn.Read(make([]byte, 4096))
			fmt.Fprint(conn, "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
		}
		conn.Close()
	}
}
