package drydock.engine.api;

import io.micronaut.http.MediaType;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Get;

/** Whether the engine is up. It listens only once its services run and its flows are registered. */
@Controller("/ping")
final class PingController {

    @Get(produces = MediaType.TEXT_PLAIN)
    String ping() {
        return "pong";
    }
}
