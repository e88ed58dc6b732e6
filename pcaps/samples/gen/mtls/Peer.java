import java.io.FileInputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.List;
import javax.net.ssl.*;

/** A TLS client and a TLS server on Java's JSSE: see matrix.py for their arguments. */
public class Peer {
	static final X509TrustManager ANYONE = new X509ExtendedTrustManager() {
		public void checkClientTrusted(X509Certificate[] c, String a) {}
		public void checkServerTrusted(X509Certificate[] c, String a) {}
		public void checkClientTrusted(X509Certificate[] c, String a, java.net.Socket s) {}
		public void checkServerTrusted(X509Certificate[] c, String a, java.net.Socket s) {}
		public void checkClientTrusted(X509Certificate[] c, String a, SSLEngine e) {}
		public void checkServerTrusted(X509Certificate[] c, String a, SSLEngine e) {}
		public X509Certificate[] getAcceptedIssuers() { return new X509Certificate[0]; }
	};

	static SSLContext context(String name) throws Exception {
		KeyManager[] keys = null;
		if (!name.equals("-")) {
			KeyStore store = KeyStore.getInstance("PKCS12");
			store.load(new FileInputStream(name + ".p12"), "changeit".toCharArray());
			KeyManagerFactory f = KeyManagerFactory.getInstance("NewSunX509");
			f.init(new KeyStoreBuilderParameters(KeyStore.Builder.newInstance(store, new KeyStore.PasswordProtection("changeit".toCharArray()))));
			keys = f.getKeyManagers();
		}
		SSLContext c = SSLContext.getInstance("TLS");
		c.init(keys, new TrustManager[] {ANYONE}, null);
		return c;
	}

	public static void main(String[] a) throws Exception {
		if (a[0].equals("server")) serve(Integer.parseInt(a[1]), a[2]);
		else connect(a[1], Integer.parseInt(a[2]), a[3], a[4], Integer.parseInt(a[5]));
	}

	static void serve(int port, String policy) throws Exception {
		SSLServerSocket listener = (SSLServerSocket) context("server").getServerSocketFactory().createServerSocket(port, 50, InetAddress.getByName("0.0.0.0"));
		listener.setWantClientAuth(policy.equals("request"));
		if (policy.equals("require")) listener.setNeedClientAuth(true);
		System.out.println("ready");
		for (;;) {
			try (SSLSocket s = (SSLSocket) listener.accept()) {
				s.setSoTimeout(3000);
				s.startHandshake();
				int n = 0;
				try { n = s.getSession().getPeerCertificates().length; } catch (SSLPeerUnverifiedException e) { }
				System.out.println("certs=" + n);
				s.getInputStream().read(new byte[4096]);
				s.getOutputStream().write("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n".getBytes());
			} catch (Exception e) {
				System.out.println("refused " + e.getMessage());
			}
		}
	}

	static void connect(String address, int port, String name, String cert, int count) throws Exception {
		SSLSocketFactory factory = context(cert).getSocketFactory();
		for (int i = 0; i < count; i++) {
			long begun = System.currentTimeMillis();
			InetAddress to = InetAddress.getByAddress(name, InetAddress.getByName(address).getAddress());
			try (SSLSocket s = (SSLSocket) factory.createSocket(to, port)) {
				s.setSoTimeout(3000);
				s.setEnabledProtocols(new String[] {"TLSv1.3"});
				s.startHandshake();
				OutputStream out = s.getOutputStream();
				out.write("GET / HTTP/1.0\r\n\r\n".getBytes());
				s.getInputStream().read(new byte[4096]);
				System.out.println("resumed=" + (s.getSession().getCreationTime() < begun ? 1 : 0));
			} catch (SSLException | java.net.SocketException e) {
				System.out.println("failed " + e.getMessage());
			}
			Thread.sleep(20);
		}
	}
}
