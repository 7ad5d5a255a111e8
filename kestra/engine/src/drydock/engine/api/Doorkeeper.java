package drydock.engine.api;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.Set;

import io.micronaut.context.annotation.Property;
import io.micronaut.core.annotation.Nullable;
import io.micronaut.http.HttpHeaders;
import io.micronaut.http.HttpRequest;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.HttpStatus;
import io.micronaut.http.annotation.RequestFilter;
import io.micronaut.http.annotation.ServerFilter;

/** Lets in who knows the password, as Kestra's basic authentication does, and no web page that a browser shows. */
@ServerFilter(ServerFilter.MATCH_ALL_PATTERN)
final class Doorkeeper {

    private static final Set<String> OWN_NAMES = Set.of("127.0.0.1", "localhost", "[::1]");

    private final byte[] expected;

    Doorkeeper(
        @Property(name = "engine.username") String username,
        @Property(name = "engine.password-file") String passwordFile
    ) throws IOException {
        String pair = username + ":" + Files.readString(Path.of(passwordFile)).strip();
        String encoded = Base64.getEncoder().encodeToString(pair.getBytes(StandardCharsets.UTF_8));
        this.expected = ("Basic " + encoded).getBytes(StandardCharsets.UTF_8);
    }

    @RequestFilter
    @Nullable
    HttpResponse<String> check(HttpRequest<?> request) {
        // A page of somebody's may send requests here under a name of its own, or from its own origin.
        String host = request.getHeaders().get(HttpHeaders.HOST, String.class, "").replaceFirst(":\\d+$", "");
        if (!OWN_NAMES.contains(host) || request.getHeaders().contains(HttpHeaders.ORIGIN)) {
            return Answers.refusal(HttpStatus.FORBIDDEN, "Call the engine by 127.0.0.1, and not from a web page.");
        }
        if (request.getPath().equals("/ping")) {
            return null;
        }
        byte[] given = request.getHeaders().getAuthorization().orElse("").getBytes(StandardCharsets.UTF_8);
        if (!MessageDigest.isEqual(given, expected)) {
            return Answers.refusal(HttpStatus.UNAUTHORIZED, "User name or password is wrong: basic authentication is asked for.");
        }
        return null;
    }
}
