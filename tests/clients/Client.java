// One GET with the HttpClient of the JDK, over HTTP/2 if the server will, or over HTTP/1.1 alone.
//
//   java Client.java URL CA.pem CLIENT.p12 [HTTP_1_1] < TOKEN
//
// Prints the protocol and the status, an empty line, and the body. The key store's password is "password".
import java.io.FileInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class Client {
    public static void main(String[] arguments) throws Exception {
        var version = arguments.length > 3 ? arguments[3] : "HTTP_2";
        var client = HttpClient.newBuilder()
            .version(HttpClient.Version.valueOf(version))
            .sslContext(context(arguments[1], arguments[2]))
            .build();
        var token = new String(System.in.readAllBytes(), StandardCharsets.UTF_8).trim();
        var request = HttpRequest.newBuilder(URI.create(arguments[0]))
            .timeout(Duration.ofSeconds(20))
            .header("Authorization", "Bearer " + token)
            .build();
        var response = client.send(request, HttpResponse.BodyHandlers.ofString());
        var protocol = response.version() == HttpClient.Version.HTTP_2 ? "HTTP/2" : "HTTP/1.1";
        System.out.print(protocol + " " + response.statusCode() + "\n\n" + response.body());
    }

    private static SSLContext context(String authority, String identity) throws Exception {
        var trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null);
        try (var pem = new FileInputStream(authority)) {
            trusted.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);

        var password = "password".toCharArray();
        var own = KeyStore.getInstance("PKCS12");
        try (var file = new FileInputStream(identity)) {
            own.load(file, password);
        }
        var keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(own, password);

        var context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        return context;
    }
}
