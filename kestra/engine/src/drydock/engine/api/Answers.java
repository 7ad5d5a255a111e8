package drydock.engine.api;

import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;

import io.kestra.core.exceptions.InputOutputValidationException;
import io.kestra.core.repositories.ArrayListTotal;
import io.kestra.core.serializers.JacksonMapper;
import io.micronaut.data.model.Page;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.HttpStatus;
import io.micronaut.http.MediaType;
import io.micronaut.http.MutableHttpResponse;
import jakarta.validation.ConstraintViolationException;

/** JSON as Kestra's server writes it: by Kestra's own mapper, durations as text. */
final class Answers {

    private static final ObjectMapper MAPPER = JacksonMapper.ofJson()
        .copy()
        .disable(SerializationFeature.WRITE_DURATIONS_AS_TIMESTAMPS);

    private Answers() {
    }

    /** A page of a search: `{"results": [...], "total": n}`. */
    static MutableHttpResponse<String> page(ArrayListTotal<?> found) {
        return json(Map.of("results", List.copyOf(found), "total", found.getTotal()));
    }

    /** A page of a search that could have cursors in place of numbers: `type` says that it has not. */
    static MutableHttpResponse<String> page(Page<?> found) {
        return json(Map.of("results", found.getContent(), "total", found.getTotalSize(), "type", "OFFSET"));
    }

    static MutableHttpResponse<String> json(Object document) {
        try {
            return HttpResponse.ok(MAPPER.writeValueAsString(document)).contentType(MediaType.APPLICATION_JSON_TYPE);
        } catch (JsonProcessingException error) {
            throw new IllegalStateException(error);
        }
    }

    static MutableHttpResponse<String> refusal(HttpStatus status, String message) {
        return json(Map.of("message", message)).status(status);
    }

    /** What went wrong, as a refusal: the caller's mistakes are 404 and 422. */
    static MutableHttpResponse<String> refusal(Throwable error) {
        HttpStatus status = switch (error) {
            case NoSuchElementException _ -> HttpStatus.NOT_FOUND;
            case ConstraintViolationException _ -> HttpStatus.UNPROCESSABLE_ENTITY;
            case InputOutputValidationException _ -> HttpStatus.UNPROCESSABLE_ENTITY;
            case IllegalArgumentException _ -> HttpStatus.UNPROCESSABLE_ENTITY;
            default -> HttpStatus.INTERNAL_SERVER_ERROR;
        };
        return refusal(status, error.getMessage() == null ? error.toString() : error.getMessage());
    }
}
