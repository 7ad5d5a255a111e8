package drydock.engine.api;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import io.kestra.core.models.QueryFilter;
import io.micronaut.core.annotation.Introspected;
import io.micronaut.core.annotation.Nullable;
import io.micronaut.data.model.Pageable;
import io.micronaut.data.model.Sort;
import io.micronaut.http.HttpRequest;
import io.micronaut.http.annotation.QueryValue;

/**
 * What Kestra's searches are asked: pages from 1, sorted by `<field>:asc` or `<field>:desc`, and filters, all of which
 * have to hold, `filters[<field>][<operation>]=<value>`, of labels `filters[labels][<operation>][<name>]=<value>`.
 */
@Introspected
record Search(
    HttpRequest<?> request,
    @QueryValue(defaultValue = "1") int page,
    @QueryValue(defaultValue = "10") int size,
    @Nullable @QueryValue List<String> sort
) {

    private static final Pattern FILTER = Pattern.compile("filters\\[(\\w+)]\\[(\\w+)](?:\\[(.+)])?");

    /** The page, unsorted: whoever answers has an order of his own. */
    Pageable pageable() {
        return Pageable.from(page, size);
    }

    /** `columns` says for a field what it is called in the database. Raises IllegalArgumentException for no sort at all. */
    Pageable pageable(Function<String, String> columns) {
        return sort == null ? pageable() : Pageable.from(page, size, Sort.of(sort.stream().map(text -> order(text, columns)).toList()));
    }

    /** Raises IllegalArgumentException for a field or an operation that Kestra does not know. */
    List<QueryFilter> filters() {
        List<QueryFilter> filters = new ArrayList<>();
        request.getParameters().forEach((name, values) -> {
            Matcher matcher = FILTER.matcher(name);
            if (matcher.matches()) {
                values.forEach(value -> filters.add(filter(matcher.group(1), matcher.group(2), matcher.group(3), value)));
            }
        });
        return filters;
    }

    private static QueryFilter filter(String field, String operation, @Nullable String key, String value) {
        Object wanted = operation.endsWith("IN") ? List.of(value.split(",")) : value;
        return QueryFilter.builder()
            .field(QueryFilter.Field.fromString(field))
            .operation(QueryFilter.Op.fromString(operation))
            .value(key == null ? wanted : Map.of(key, value))
            .build();
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
