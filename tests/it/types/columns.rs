//! Every column type, with values at its edges.
//!
//! Values are expressions as a client writes them, in a session that takes zero and invalid dates and is not strict
//! (an ENUM's error value, index 0, comes in no other way).

use std::sync::LazyLock;

/// Types with the values a column of theirs goes through.
pub(super) static COLUMNS: LazyLock<Vec<(String, Vec<String>)>> = LazyLock::new(|| {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    let mut add = |column: &str, values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned());
        all.push((column.to_owned(), values.chain(["NULL".to_owned()]).collect()));
    };
    integers(&mut add);
    decimals_and_floats(&mut add);
    times(&mut add);
    texts(&mut add);
    bytes(&mut add);
    add("BIT(1)", &["b'0'", "b'1'"]);
    add("BIT(9)", &["0", "b'100000001'", "511"]);
    add("BIT(64)", &["0", "1", "18446744073709551615", "9223372036854775808"]);
    add(
        "ENUM('','a','b,c','ä''\\\\x','日')",
        &["1", "2", "3", "4", "5", "'no such member'"],
    );
    add(&members("ENUM", 300), &["1", "255", "256", "300", "'no such member'"]);
    add("ENUM('a','b') CHARACTER SET latin1", &["'a'", "'b'"]);
    add("SET('a','b','c''d')", &["''", "'a'", "'a,b,c''d'"]);
    add(
        &members("SET", 64),
        &["0", "1", "18446744073709551615", "9223372036854775808"],
    );
    add(&members("SET", 17), &["0", "131071"]);
    add("JSON", JSON);
    shapes(&mut add);
    add(
        "VECTOR(3)",
        &[
            "STRING_TO_VECTOR('[1,-0.0,1.2e-38]')",
            "STRING_TO_VECTOR('[-3.4e38,0,0.1]')",
        ],
    );
    add(
        "VECTOR",
        &[
            "STRING_TO_VECTOR('[0.1]')",
            "STRING_TO_VECTOR(CONCAT('[1', REPEAT(',0.3', 2047), ']'))",
        ],
    );
    all
});

fn integers(add: &mut impl FnMut(&str, &[&str])) {
    add("TINYINT", &["0", "1", "-1", "-128", "127"]);
    add("TINYINT UNSIGNED", &["0", "127", "128", "255"]);
    add("BOOLEAN", &["TRUE", "FALSE"]);
    add("SMALLINT", &["0", "-1", "-32768", "32767"]);
    add("SMALLINT UNSIGNED", &["0", "32768", "65535"]);
    add("MEDIUMINT", &["0", "-1", "-8388608", "8388607"]);
    add("MEDIUMINT UNSIGNED", &["0", "8388608", "16777215"]);
    add("INT", &["0", "-1", "-2147483648", "2147483647"]);
    add("INT UNSIGNED", &["0", "2147483648", "4294967295"]);
    add("INT(5) ZEROFILL", &["0", "42", "4294967295"]);
    add("BIGINT", &["0", "-1", "-9223372036854775808", "9223372036854775807"]);
    add("BIGINT UNSIGNED", &["0", "9223372036854775808", "18446744073709551615"]);
    add("YEAR", &["0", "1901", "2000", "2155"]);
}

fn decimals_and_floats(add: &mut impl FnMut(&str, &[&str])) {
    let nines = "9".repeat(65);
    add("DECIMAL(65,0)", &["0", &nines, &format!("-{nines}"), "1000000000"]);
    let mixed = format!("{}.{}", "9".repeat(35), "9".repeat(30));
    add(
        "DECIMAL(65,30)",
        &["0", &mixed, &format!("-{mixed}"), "-0.000000000000000000000000000001"],
    );
    add("DECIMAL(10,2)", &["0", "-0.01", "99999999.99", "-99999999.99", "1.50"]);
    add("DECIMAL(30,30)", &["0", "0.999999999999999999999999999999", "-1e-30"]);
    add("DECIMAL(9,9) UNSIGNED", &["0", "0.123456789"]);
    let floats = [
        "0",
        "-0e0",
        "3.402823466e38",
        "-3.402823466e38",
        "1.175494351e-38",
        "1.4e-45",
        "0.1",
        "16777217",
    ];
    add("FLOAT", &floats);
    add("FLOAT UNSIGNED", &["0", "0.3"]);
    add("FLOAT(7,3)", &["0", "-1234.567"]);
    let doubles = [
        "0",
        "-0e0",
        "1.7976931348623157e308",
        "-1.7976931348623157e308",
        "2.2250738585072014e-308",
        "5e-324",
        "0.1",
        "9007199254740993",
        "123456789012345678e0",
    ];
    add("DOUBLE", &doubles);
    add("DOUBLE(20,5)", &["-12345.67891"]);
}

fn times(add: &mut impl FnMut(&str, &[&str])) {
    let dates = [
        "'0000-00-00'",
        "'0000-01-01'",
        "'1000-01-01'",
        "'2024-02-29'",
        "'2024-00-00'",
        "'2024-02-30'",
        "'2023-02-31'",
        "'9999-12-31'",
    ];
    add("DATE", &dates);
    for fsp in 0..=6usize {
        let fraction = |digits: &str| {
            if fsp == 0 {
                String::new()
            } else {
                format!(".{}", &digits[..fsp])
            }
        };
        let (nines, odd, last) = (fraction("999999"), fraction("120345"), fraction("000001"));
        let time = [
            "'00:00:00'".to_owned(),
            format!("'-00:00:00{last}'"),
            format!("'-00:00:01{odd}'"),
            format!("'-838:59:58{nines}'"),
            "'-838:59:59'".to_owned(),
            "'838:59:59'".to_owned(),
            format!("'12:34:56{odd}'"),
        ];
        add(&format!("TIME({fsp})"), &time.each_ref().map(String::as_str));
        let datetime = [
            "'0000-00-00 00:00:00'".to_owned(),
            format!("'1000-01-01 00:00:00{last}'"),
            format!("'9999-12-31 23:59:59{nines}'"),
            format!("'2024-02-30 12:00:00{odd}'"),
            "'2024-00-00 01:02:03'".to_owned(),
        ];
        add(&format!("DATETIME({fsp})"), &datetime.each_ref().map(String::as_str));
        let timestamp = [
            "'0000-00-00 00:00:00'".to_owned(),
            "'1970-01-01 00:00:01'".to_owned(),
            format!("'2000-02-29 23:59:59{nines}'"),
            format!("'2038-01-19 03:14:07{odd}'"),
        ];
        add(
            &format!("TIMESTAMP({fsp}) NULL"),
            &timestamp.each_ref().map(String::as_str),
        );
    }
}

fn texts(add: &mut impl FnMut(&str, &[&str])) {
    let plain = [
        "''",
        "'a'",
        "'A'",
        "'a  '",
        "'  a'",
        "'ä😀'",
        "'it''s \\\\ \\n\\r\\0\\Z \"'",
    ];
    add("CHAR(20)", &plain);
    add("CHAR(255)", &["''", "REPEAT('😀', 255)", "'x'"]);
    add("VARCHAR(20)", &plain);
    add("VARCHAR(20) COLLATE utf8mb4_bin", &plain);
    add("VARCHAR(20) COLLATE utf8mb4_general_ci", &plain);
    add("VARCHAR(300)", &["''", "REPEAT('😀', 300)"]);
    add("VARCHAR(15000)", &["''", "REPEAT('日本', 7500)"]);
    add("TINYTEXT", &plain);
    add("TEXT", &["''", "'a '", "REPEAT('😀', 16000)"]);
    add("MEDIUMTEXT", &["''", "REPEAT('ä', 100000)"]);
    add("LONGTEXT", &["''", "REPEAT('x''', 100000)"]);
    // Every byte is a character of latin1; in gbk, sjis, cp932, big5 and gb18030 a character may end in a backslash.
    let latin1 = format!("CONVERT(_binary x'{}' USING latin1)", all_bytes());
    add(
        "VARCHAR(300) CHARACTER SET latin1",
        &["''", "_latin1 x'e4f6fc80'", &latin1],
    );
    add(
        "CHAR(10) CHARACTER SET latin1",
        &["''", "_latin1 x'e420'", "_latin1 x'80'"],
    );
    add("TEXT CHARACTER SET latin1", &["''", &latin1]);
    add("VARCHAR(20) CHARACTER SET ascii", &["''", "'~'"]);
    add("VARCHAR(20) CHARACTER SET utf8mb3", &["''", "'日本'"]);
    add("CHAR(200) CHARACTER SET utf8mb3", &["''", "REPEAT('日', 200)"]);
    add("VARCHAR(20) CHARACTER SET ucs2", &["''", "'日本 '"]);
    add("VARCHAR(20) CHARACTER SET utf16", &["''", "_utf16 x'd83dde000041'"]);
    add("CHAR(20) CHARACTER SET utf16", &["''", "_utf16 x'd83dde000020'", "'a'"]);
    add("TEXT CHARACTER SET utf16", &["''", "_utf16 x'd83dde00'"]);
    add("VARCHAR(20) CHARACTER SET utf16le", &["''", "'a😀'"]);
    add("VARCHAR(20) CHARACTER SET utf32", &["''", "_utf32 x'0001f600'"]);
    for (charset, text) in [
        ("gbk", "815c"),
        ("gb18030", "815c8130813081358436"),
        ("gb2312", "b0a1"),
        ("sjis", "835c"),
        ("cp932", "835c8160"),
        ("big5", "a55c"),
        ("ujis", "a4a2"),
        ("eucjpms", "a4a2"),
        ("euckr", "b0a1"),
        ("koi8r", "c1c2"),
        ("cp1251", "e0e1"),
        ("cp850", "8182"),
        ("tis620", "a1a2"),
    ] {
        let value = format!("_{charset} x'{text}'");
        add(&format!("VARCHAR(20) CHARACTER SET {charset}"), &["''", &value]);
        add(&format!("CHAR(20) CHARACTER SET {charset}"), &["''", &value]);
    }
}

fn bytes(add: &mut impl FnMut(&str, &[&str])) {
    let all = format!("x'{}'", all_bytes());
    add(
        "BINARY(4)",
        &[
            "''",
            "x'00'",
            "x'6100'",
            "x'61'",
            "x'00000061'",
            "x'ffff0000'",
            "x'61202020'",
        ],
    );
    add("BINARY(255)", &["''", "x'ff00'"]);
    add("CHAR(4) CHARACTER SET binary", &["''", "x'6100'"]);
    add(
        "VARBINARY(4)",
        &["''", "x'00'", "x'6100'", "x'61'", "x'6120'", "x'ffff0000'"],
    );
    add("VARBINARY(300)", &["''", &all]);
    add("TINYBLOB", &["''", "x'00'", "x'ff5c27'"]);
    add("BLOB", &["''", &all]);
    add("MEDIUMBLOB", &["''", &format!("REPEAT({all}, 300)")]);
    add("LONGBLOB", &["''", &format!("REPEAT({all}, 2000)")]);
}

const JSON: &[&str] = &[
    "'null'",
    "'true'",
    "'0'",
    "'-1'",
    "'32767'",
    "'2147483648'",
    "'-9223372036854775808'",
    "'18446744073709551615'",
    "'1.0'",
    "'-0.0'",
    "'1e300'",
    "'0.1'",
    "'\"\"'",
    "'\"a\\\\\"b\\\\\\\\ \\\\u0000 \\\\n 😀\"'",
    "'{}'",
    "'[]'",
    "'[{}, [], [[]], {\"a\": {\"b\": [1, null, true, \"x\", 1.5]}}]'",
    "'{\"\": 1, \"ä\": 2, \"a b\": 3, \"q\\\\\"uote\": 4, \"$\": 5, \"a.b\": [6]}'",
    "CAST(1.50 AS JSON)",
    "JSON_ARRAY(CAST('-12345678901234567890.1234500' AS DECIMAL(65,20)), 0.00)",
    "JSON_OBJECT('d', CAST('2024-02-29' AS DATE), 't', CAST('-12:34:56.000001' AS TIME(6)))",
    "JSON_OBJECT('dt', CAST('2024-02-29 12:34:56.5' AS DATETIME(6)), 'zero', CAST('0000-00-00' AS DATE))",
    "JSON_OBJECT('ts', TIMESTAMP'2024-01-01 00:00:00', 'deep', JSON_ARRAY(JSON_OBJECT('x', CURRENT_DATE)))",
    "JSON_OBJECT('b', CAST(x'00ff27' AS BINARY), 'bit', b'101')",
    "CAST(CAST(x'00ff' AS BINARY) AS JSON)",
    "CAST(CAST('2024-01-01' AS DATE) AS JSON)",
    "JSON_ARRAY(REPEAT('x', 100), REPEAT('ä', 20000))",
    "CAST(CONCAT('[', REPEAT('{\"k\": [1, 2.5, \"v\"]}, ', 9999), 'null]') AS JSON)",
    "CAST(CONCAT(REPEAT('[', 99), REPEAT(']', 99)) AS JSON)",
];

fn shapes(add: &mut impl FnMut(&str, &[&str])) {
    let from = |text: &str| format!("ST_GeomFromText('{text}')");
    let point = from("POINT(1 -2.5)");
    let line = from("LINESTRING(0 0, 1 1, 2 0)");
    let polygon = from("POLYGON((0 0, 10 0, 10 10, 0 10, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))");
    let points = from("MULTIPOINT((0 0), (1 1))");
    let lines = from("MULTILINESTRING((0 0, 1 1), (2 2, 3 3))");
    let polygons = from("MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))");
    let several = from("GEOMETRYCOLLECTION(POINT(1 1), LINESTRING(0 0, 1 1))");
    let none = from("GEOMETRYCOLLECTION EMPTY");
    let earth = "ST_GeomFromText('POINT(52.5 13.4)', 4326)";
    add(
        "GEOMETRY",
        &[
            &point, &line, &polygon, &points, &lines, &polygons, &several, &none, earth,
        ],
    );
    add("POINT", &[&point, &from("POINT(0 0)")]);
    add("POINT SRID 4326", &[earth, "ST_GeomFromText('POINT(0 0)', 4326)"]);
    add("POINT SRID 0", &[&point]);
    add("LINESTRING", &[&line]);
    add("POLYGON", &[&polygon]);
    add("MULTIPOINT", &[&points]);
    add("MULTILINESTRING", &[&lines]);
    add("MULTIPOLYGON", &[&polygons]);
    add("GEOMETRYCOLLECTION", &[&several, &none]);
}

fn members(kind: &str, count: usize) -> String {
    let members: Vec<String> = (1..=count).map(|number| format!("'m{number}'")).collect();
    format!("{kind}({})", members.join(","))
}

fn all_bytes() -> String {
    (0..=255u8).map(|byte| format!("{byte:02x}")).collect()
}

/// Types of row keys. The values differ from each other, the first one is kept for later.
pub(super) const KEYS: &[(&str, &[&str])] = &[
    ("TINYINT", &["5", "0", "-128", "127"]),
    (
        "BIGINT UNSIGNED",
        &["1", "0", "9223372036854775808", "18446744073709551615"],
    ),
    ("BIGINT", &["1", "-9223372036854775808", "9223372036854775807", "0"]),
    (
        "DECIMAL(65,30)",
        &["1", "0", "-0.000000000000000000000000000001", "1e34"],
    ),
    ("DECIMAL(5,2)", &["1", "-1.50", "0", "999.99"]),
    ("FLOAT", &["7", "0.1", "-3.402823466e38", "1.4e-45"]),
    ("DOUBLE", &["7", "0.1", "1.7976931348623157e308", "5e-324"]),
    ("BIT(64)", &["7", "0", "18446744073709551615", "1"]),
    ("YEAR", &["1999", "0", "1901", "2155"]),
    (
        "DATE",
        &["'2000-01-01'", "'0000-00-00'", "'2024-02-30'", "'9999-12-31'"],
    ),
    (
        "TIME(3)",
        &["'00:00:01'", "'-838:59:59'", "'-00:00:00.001'", "'00:00:00'"],
    ),
    (
        "DATETIME(6)",
        &[
            "'2000-01-01'",
            "'0000-00-00 00:00:00'",
            "'2024-02-30 01:02:03.000004'",
            "'9999-12-31 23:59:59.999999'",
        ],
    ),
    (
        "DATETIME",
        &[
            "'2000-01-01'",
            "'0000-00-00 00:00:00'",
            "'2024-02-30 01:02:03'",
            "'9999-12-31 23:59:59'",
        ],
    ),
    (
        "TIMESTAMP(6)",
        &[
            "'2000-01-01'",
            "'0000-00-00 00:00:00'",
            "'1970-01-01 00:00:01'",
            "'2038-01-19 03:14:07.123456'",
        ],
    ),
    ("VARCHAR(50)", &["'new'", "''", "'Straße'", "'ä😀'"]),
    ("CHAR(50)", &["'new'", "''", "'it''s \\\\'", "' b'"]),
    (
        "VARCHAR(50) COLLATE utf8mb4_general_ci",
        &["'new'", "''", "'a '", "'Ö'"],
    ),
    ("VARCHAR(50) COLLATE utf8mb4_bin", &["'new'", "'a'", "'A'", "'😀'"]),
    ("VARCHAR(50) COLLATE utf8mb4_0900_bin", &["'new'", "'a'", "'a '", "'A'"]),
    (
        "VARCHAR(50) CHARACTER SET latin1",
        &["'new'", "''", "_latin1 x'e4'", "_latin1 x'80'"],
    ),
    (
        "VARCHAR(50) CHARACTER SET utf16",
        &["'new'", "''", "_utf16 x'd83dde00'", "'a'"],
    ),
    ("VARCHAR(50) CHARACTER SET gbk", &["'new'", "''", "_gbk x'815c'", "'a'"]),
    ("BINARY(4)", &["x'01'", "''", "x'6100'", "x'ffffffff'"]),
    ("VARBINARY(20)", &["x'01'", "''", "x'6100'", "x'61'"]),
    ("ENUM('a','b','c','d')", &["'d'", "'a'", "'b'", "'c'"]),
    ("SET('a','b','c')", &["'c'", "''", "'a'", "'a,b'"]),
];
