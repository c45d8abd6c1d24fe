//! The allow-lists of query and cookie names: data only. A listed name alone is not enough, the value must be short.

/// Query names of paging, sorting and presentation.
pub(super) const QUERY: &[&str] = &[
    "asc",
    "desc",
    "dir",
    "direction",
    "fmt",
    "format",
    "lang",
    "language",
    "limit",
    "locale",
    "offset",
    "order",
    "order_by",
    "orderby",
    "page",
    "page_size",
    "pagesize",
    "per_page",
    "perpage",
    "pretty",
    "size",
    "sort",
    "sort_by",
    "sortby",
    "timezone",
    "tz",
    "v",
    "ver",
    "version",
];

/// Cookie names of presentation.
pub(super) const COOKIES: &[&str] = &[
    "color_mode",
    "color-mode",
    "lang",
    "language",
    "locale",
    "theme",
];
