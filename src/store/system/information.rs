//! `information_schema`: the tables that drivers and GUI tools look through.

use super::SystemTable;

const SCHEMA: &str = "information_schema";

pub(super) const TABLES: &[SystemTable] = &[
    SystemTable {
        schema: SCHEMA,
        name: "administrable_role_authorizations",
        columns: "USER, HOST, GRANTEE, GRANTEE_HOST, ROLE_NAME, ROLE_HOST, IS_GRANTABLE, IS_DEFAULT, IS_MANDATORY",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "applicable_roles",
        columns: "USER, HOST, GRANTEE, GRANTEE_HOST, ROLE_NAME, ROLE_HOST, IS_GRANTABLE, IS_DEFAULT, IS_MANDATORY",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "character_sets",
        columns: "CHARACTER_SET_NAME, DEFAULT_COLLATE_NAME, DESCRIPTION, MAXLEN INTEGER",
        rows: "VALUES ('utf8mb4', 'utf8mb4_0900_ai_ci', 'UTF-8 Unicode', 4)",
    },
    SystemTable {
        schema: SCHEMA,
        name: "check_constraints",
        columns: "CONSTRAINT_CATALOG, CONSTRAINT_SCHEMA, CONSTRAINT_NAME, CHECK_CLAUSE",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "collation_character_set_applicability",
        columns: "COLLATION_NAME, CHARACTER_SET_NAME",
        rows: "VALUES ('utf8mb4_0900_ai_ci', 'utf8mb4'), ('utf8mb4_bin', 'utf8mb4'),
            ('utf8mb4_general_ci', 'utf8mb4'), ('utf8mb4_unicode_ci', 'utf8mb4')",
    },
    SystemTable {
        schema: SCHEMA,
        name: "collations",
        columns: "COLLATION_NAME, CHARACTER_SET_NAME, ID INTEGER, IS_DEFAULT, IS_COMPILED, SORTLEN INTEGER, \
                  PAD_ATTRIBUTE",
        rows: "VALUES ('utf8mb4_0900_ai_ci', 'utf8mb4', 255, 'Yes', 'Yes', 0, 'NO PAD'),
            ('utf8mb4_bin', 'utf8mb4', 46, '', 'Yes', 1, 'PAD SPACE'),
            ('utf8mb4_general_ci', 'utf8mb4', 45, '', 'Yes', 1, 'PAD SPACE'),
            ('utf8mb4_unicode_ci', 'utf8mb4', 224, '', 'Yes', 8, 'PAD SPACE')",
    },
    SystemTable {
        schema: SCHEMA,
        name: "columns",
        columns: "TABLE_CATALOG, TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION INTEGER, COLUMN_DEFAULT, \
                  IS_NULLABLE, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH INTEGER, CHARACTER_OCTET_LENGTH INTEGER, \
                  NUMERIC_PRECISION INTEGER, NUMERIC_SCALE INTEGER, DATETIME_PRECISION INTEGER, CHARACTER_SET_NAME, \
                  COLLATION_NAME, COLUMN_TYPE, COLUMN_KEY, EXTRA, PRIVILEGES, COLUMN_COMMENT, \
                  GENERATION_EXPRESSION, SRS_ID INTEGER",
        rows: "(TABLE_CATALOG, TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, COLUMN_DEFAULT, IS_NULLABLE, DATA_TYPE,
            CHARACTER_MAXIMUM_LENGTH, CHARACTER_OCTET_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, CHARACTER_SET_NAME, COLLATION_NAME,
            COLUMN_TYPE, COLUMN_KEY, EXTRA, PRIVILEGES, COLUMN_COMMENT, GENERATION_EXPRESSION)
        SELECT 'def', t.value ->> 0, t.value ->> 1, c.name, c.cid + 1, NULL, iif(c.\"notnull\" OR c.pk, 'NO', 'YES'),
            iif(c.type = 'INTEGER', 'bigint', 'text'), iif(c.type = 'INTEGER', NULL, 65535),
            iif(c.type = 'INTEGER', NULL, 65535), iif(c.type = 'INTEGER', 19, NULL), iif(c.type = 'INTEGER', 0, NULL),
            iif(c.type = 'INTEGER', NULL, 'utf8mb4'), iif(c.type = 'INTEGER', NULL, 'utf8mb4_0900_ai_ci'),
            iif(c.type = 'INTEGER', 'bigint', 'text'), iif(c.pk, 'PRI', ''), '', 'select', '', ''
        FROM json_each(:facts, '$.tables') t, pragma_table_info(t.value ->> 1, t.value ->> 0) c ORDER BY 2, 3, 5",
    },
    SystemTable {
        schema: SCHEMA,
        name: "enabled_roles",
        columns: "ROLE_NAME, ROLE_HOST, IS_DEFAULT, IS_MANDATORY",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "engines",
        columns: "ENGINE, SUPPORT, COMMENT, TRANSACTIONS, XA, SAVEPOINTS",
        rows: "VALUES ('SQLite', 'DEFAULT', 'The store of Causeway; read-only here', 'NO', 'NO', 'NO')",
    },
    SystemTable {
        schema: SCHEMA,
        name: "events",
        columns: "EVENT_CATALOG, EVENT_SCHEMA, EVENT_NAME, DEFINER, TIME_ZONE, EVENT_BODY, EVENT_DEFINITION, \
                  EVENT_TYPE, EXECUTE_AT, INTERVAL_VALUE, INTERVAL_FIELD, SQL_MODE, STARTS, ENDS, STATUS, \
                  ON_COMPLETION, CREATED, LAST_ALTERED, LAST_EXECUTED, EVENT_COMMENT, ORIGINATOR INTEGER, \
                  CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "innodb_cmp",
        columns: "page_size INTEGER, compress_ops INTEGER, compress_ops_ok INTEGER, compress_time INTEGER, \
                  uncompress_ops INTEGER, uncompress_time INTEGER",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "innodb_cmpmem",
        columns: "page_size INTEGER, buffer_pool_instance INTEGER, pages_used INTEGER, pages_free INTEGER, \
                  relocation_ops INTEGER, relocation_time INTEGER",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "key_column_usage",
        columns: "CONSTRAINT_CATALOG, CONSTRAINT_SCHEMA, CONSTRAINT_NAME, TABLE_CATALOG, TABLE_SCHEMA, TABLE_NAME, \
                  COLUMN_NAME, ORDINAL_POSITION INTEGER, POSITION_IN_UNIQUE_CONSTRAINT INTEGER, \
                  REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME",
        rows: "(CONSTRAINT_CATALOG, CONSTRAINT_SCHEMA, CONSTRAINT_NAME, TABLE_CATALOG, TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME,
            ORDINAL_POSITION)
        SELECT 'def', t.value ->> 0, 'PRIMARY', 'def', t.value ->> 0, t.value ->> 1, c.name, c.pk
        FROM json_each(:facts, '$.tables') t, pragma_table_info(t.value ->> 1, t.value ->> 0) c WHERE c.pk > 0 ORDER BY 2, 6, c.pk",
    },
    SystemTable {
        schema: SCHEMA,
        name: "keywords",
        columns: "WORD, RESERVED INTEGER",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "parameters",
        columns: "SPECIFIC_CATALOG, SPECIFIC_SCHEMA, SPECIFIC_NAME, ORDINAL_POSITION INTEGER, PARAMETER_MODE, \
                  PARAMETER_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH INTEGER, CHARACTER_OCTET_LENGTH INTEGER, \
                  NUMERIC_PRECISION INTEGER, NUMERIC_SCALE INTEGER, DATETIME_PRECISION INTEGER, CHARACTER_SET_NAME, \
                  COLLATION_NAME, DTD_IDENTIFIER, ROUTINE_TYPE",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "partitions",
        columns: "TABLE_CATALOG, TABLE_SCHEMA, TABLE_NAME, PARTITION_NAME, SUBPARTITION_NAME, \
                  PARTITION_ORDINAL_POSITION INTEGER, SUBPARTITION_ORDINAL_POSITION INTEGER, SECONDARY_LOAD, \
                  PARTITION_METHOD, SUBPARTITION_METHOD, PARTITION_EXPRESSION, SUBPARTITION_EXPRESSION, \
                  PARTITION_DESCRIPTION, TABLE_ROWS INTEGER, AVG_ROW_LENGTH INTEGER, DATA_LENGTH INTEGER, \
                  MAX_DATA_LENGTH INTEGER, INDEX_LENGTH INTEGER, DATA_FREE INTEGER, CREATE_TIME, UPDATE_TIME, \
                  CHECK_TIME, CHECKSUM INTEGER, PARTITION_COMMENT, NODEGROUP, TABLESPACE_NAME",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "plugins",
        columns: "PLUGIN_NAME, PLUGIN_VERSION, PLUGIN_STATUS, PLUGIN_TYPE, PLUGIN_TYPE_VERSION, PLUGIN_LIBRARY, \
                  PLUGIN_LIBRARY_VERSION, PLUGIN_AUTHOR, PLUGIN_DESCRIPTION, PLUGIN_LICENSE, LOAD_OPTION",
        rows: "VALUES ('caching_sha2_password', '1.0', 'ACTIVE', 'AUTHENTICATION', '2.1', NULL, NULL, 'Causeway',
            'Caching sha2 authentication', 'Apache-2.0', 'FORCE')",
    },
    SystemTable {
        schema: SCHEMA,
        name: "processlist",
        columns: "ID INTEGER, USER, HOST, DB, COMMAND, TIME INTEGER, STATE, INFO",
        rows: "SELECT *
        FROM (SELECT value ->> 0 AS id, value ->> 1 AS user, value ->> 2 AS host, value ->> 3 AS db, value ->> 4 AS command,
                value ->> 5 AS time, value ->> 6 AS state, value ->> 7 AS info FROM json_each(:facts, '$.processes')
            UNION ALL SELECT 4294900000 + row_number() OVER (ORDER BY channel), 'system user', 'connecting host', NULL,
                'Connect', max(0, unixepoch('now') - unixepoch(since)), channel || ': ' || state, NULL FROM channels)",
    },
    SystemTable {
        schema: SCHEMA,
        name: "referential_constraints",
        columns: "CONSTRAINT_CATALOG, CONSTRAINT_SCHEMA, CONSTRAINT_NAME, UNIQUE_CONSTRAINT_CATALOG, \
                  UNIQUE_CONSTRAINT_SCHEMA, UNIQUE_CONSTRAINT_NAME, MATCH_OPTION, UPDATE_RULE, DELETE_RULE, \
                  TABLE_NAME, REFERENCED_TABLE_NAME",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "routines",
        columns: "SPECIFIC_NAME, ROUTINE_CATALOG, ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE, DATA_TYPE, \
                  CHARACTER_MAXIMUM_LENGTH INTEGER, CHARACTER_OCTET_LENGTH INTEGER, NUMERIC_PRECISION INTEGER, \
                  NUMERIC_SCALE INTEGER, DATETIME_PRECISION INTEGER, CHARACTER_SET_NAME, COLLATION_NAME, \
                  DTD_IDENTIFIER, ROUTINE_BODY, ROUTINE_DEFINITION, EXTERNAL_NAME, EXTERNAL_LANGUAGE, \
                  PARAMETER_STYLE, IS_DETERMINISTIC, SQL_DATA_ACCESS, SQL_PATH, SECURITY_TYPE, CREATED, \
                  LAST_ALTERED, SQL_MODE, ROUTINE_COMMENT, DEFINER, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, \
                  DATABASE_COLLATION",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "schema_privileges",
        columns: "GRANTEE, TABLE_CATALOG, TABLE_SCHEMA, PRIVILEGE_TYPE, IS_GRANTABLE",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "schemata",
        columns: "CATALOG_NAME, SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME, SQL_PATH, \
                  DEFAULT_ENCRYPTION",
        rows: "SELECT 'def', name, 'utf8mb4', 'utf8mb4_0900_ai_ci', NULL, 'NO'
        FROM (SELECT DISTINCT value ->> 0 AS name FROM json_each(:facts, '$.tables') ORDER BY 1)",
    },
    SystemTable {
        schema: SCHEMA,
        name: "statistics",
        columns: "TABLE_CATALOG, TABLE_SCHEMA, TABLE_NAME, NON_UNIQUE INTEGER, INDEX_SCHEMA, INDEX_NAME, \
                  SEQ_IN_INDEX INTEGER, COLUMN_NAME, COLLATION, CARDINALITY INTEGER, SUB_PART INTEGER, PACKED, \
                  NULLABLE, INDEX_TYPE, COMMENT, INDEX_COMMENT, IS_VISIBLE, EXPRESSION",
        rows: "(TABLE_CATALOG, TABLE_SCHEMA, TABLE_NAME, NON_UNIQUE, INDEX_SCHEMA, INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME,
            COLLATION, NULLABLE, INDEX_TYPE, COMMENT, INDEX_COMMENT, IS_VISIBLE)
        SELECT 'def', t.value ->> 0, t.value ->> 1, 0, t.value ->> 0, 'PRIMARY', c.pk, c.name, 'A', '', 'BTREE', '', '', 'YES'
        FROM json_each(:facts, '$.tables') t, pragma_table_info(t.value ->> 1, t.value ->> 0) c WHERE c.pk > 0 ORDER BY 2, 3, c.pk",
    },
    SystemTable {
        schema: SCHEMA,
        name: "table_constraints",
        columns: "CONSTRAINT_CATALOG, CONSTRAINT_SCHEMA, CONSTRAINT_NAME, TABLE_SCHEMA, TABLE_NAME, \
                  CONSTRAINT_TYPE, ENFORCED",
        rows: "SELECT DISTINCT 'def', t.value ->> 0, 'PRIMARY', t.value ->> 0, t.value ->> 1, 'PRIMARY KEY', 'YES'
        FROM json_each(:facts, '$.tables') t, pragma_table_info(t.value ->> 1, t.value ->> 0) c WHERE c.pk > 0",
    },
    SystemTable {
        schema: SCHEMA,
        name: "table_privileges",
        columns: "GRANTEE, TABLE_CATALOG, TABLE_SCHEMA, TABLE_NAME, PRIVILEGE_TYPE, IS_GRANTABLE",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "tables",
        columns: "TABLE_CATALOG, TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, VERSION INTEGER, ROW_FORMAT, \
                  TABLE_ROWS INTEGER, AVG_ROW_LENGTH INTEGER, DATA_LENGTH INTEGER, MAX_DATA_LENGTH INTEGER, \
                  INDEX_LENGTH INTEGER, DATA_FREE INTEGER, AUTO_INCREMENT INTEGER, CREATE_TIME, UPDATE_TIME, \
                  CHECK_TIME, TABLE_COLLATION, CHECKSUM INTEGER, CREATE_OPTIONS, TABLE_COMMENT",
        rows: "(TABLE_CATALOG, TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, VERSION, ROW_FORMAT, TABLE_ROWS, AVG_ROW_LENGTH,
            DATA_LENGTH, MAX_DATA_LENGTH, INDEX_LENGTH, DATA_FREE, TABLE_COLLATION, CREATE_OPTIONS, TABLE_COMMENT)
        SELECT 'def', value ->> 0, value ->> 1, iif(value ->> 0 = 'information_schema', 'SYSTEM VIEW', 'BASE TABLE'),
            iif(value ->> 0 = 'sync', 'SQLite', 'MEMORY'), 10, 'Dynamic', NULL, 0, 0, 0, 0, 0, 'utf8mb4_0900_ai_ci', '', ''
        FROM json_each(:facts, '$.tables') ORDER BY 2, 3",
    },
    SystemTable {
        schema: SCHEMA,
        name: "triggers",
        columns: "TRIGGER_CATALOG, TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_MANIPULATION, EVENT_OBJECT_CATALOG, \
                  EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, ACTION_ORDER INTEGER, ACTION_CONDITION, \
                  ACTION_STATEMENT, ACTION_ORIENTATION, ACTION_TIMING, ACTION_REFERENCE_OLD_TABLE, \
                  ACTION_REFERENCE_NEW_TABLE, ACTION_REFERENCE_OLD_ROW, ACTION_REFERENCE_NEW_ROW, CREATED, \
                  SQL_MODE, DEFINER, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "user_privileges",
        columns: "GRANTEE, TABLE_CATALOG, PRIVILEGE_TYPE, IS_GRANTABLE",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "views",
        columns: "TABLE_CATALOG, TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION, CHECK_OPTION, IS_UPDATABLE, DEFINER, \
                  SECURITY_TYPE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION",
        rows: "",
    },
];
