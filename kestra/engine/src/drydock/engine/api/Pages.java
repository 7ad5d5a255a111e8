package drydock.engine.api;

import java.util.List;
import java.util.function.Function;

import io.micronaut.core.annotation.Nullable;
import io.micronaut.data.model.Pageable;
import io.micronaut.data.model.Sort;

/** The pages of Kestra's searches: numbers from 1, sorted by `<field>:asc` or `<field>:desc`. */
final class Pages {

    private Pages() {
    }

    /** `columns` says for a field what it is called in the database. Raises IllegalArgumentException for no sort at all. */
    static Pageable of(int page, int size, @Nullable List<String> sort, Function<String, String> columns) {
        if (sort == null) {
            return Pageable.from(page, size);
        }
        return Pageable.from(page, size, Sort.of(sort.stream().map(field -> order(field, columns)).toList()));
    }

    private static Sort.Order order(String text, Function<String, String> columns) {
        String[] parts = text.split(":", 2);
        String column = columns.apply(parts[0]);
        if (parts.length < 2 || column == null || !List.of("asc", "desc").contains(parts[1])) {
            throw new IllegalArgumentException("`sort` is `" + text + "`; expected a field and asc or desc, such as id:asc.");
        }
        return parts[1].equals("asc") ? Sort.Order.asc(column) : Sort.Order.desc(column);
    }
}
