package drydock.engine.api;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import io.kestra.core.models.QueryFilter;
import io.micronaut.http.HttpRequest;

/** The filters of Kestra's searches: `filters[<field>][<operation>]=<value>`, all of which have to hold. */
final class Filters {

    private static final Pattern NAME = Pattern.compile("filters\\[(\\w+)]\\[(\\w+)]");

    private Filters() {
    }

    /** Raises IllegalArgumentException for a field or an operation that Kestra does not know. */
    static List<QueryFilter> of(HttpRequest<?> request) {
        List<QueryFilter> filters = new ArrayList<>();
        request.getParameters().forEach((name, values) -> {
            Matcher matcher = NAME.matcher(name);
            if (!matcher.matches()) {
                return;
            }
            for (String value : values) {
                filters.add(
                    QueryFilter.builder()
                        .field(QueryFilter.Field.fromString(matcher.group(1)))
                        .operation(QueryFilter.Op.fromString(matcher.group(2)))
                        .value(matcher.group(2).endsWith("IN") ? List.of(value.split(",")) : value)
                        .build()
                );
            }
        });
        return filters;
    }
}
