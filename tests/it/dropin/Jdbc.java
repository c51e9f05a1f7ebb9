import java.sql.*;
import java.util.*;

/** What a GUI tool does with a JDBC driver: log in, look through the catalog, prepare, read the status. */
public class Jdbc {
    static void check(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }

    static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> values = new ArrayList<>();
        while (rows.next()) values.add(rows.getString(name));
        return values;
    }

    public static void main(String[] arguments) throws Exception {
        for (String options : new String[] {"", "&useServerPrepStmts=true&allowMultiQueries=true"}) {
            String url = "jdbc:mariadb://127.0.0.1:" + arguments[0] + "/sync?user=root&password=" + arguments[1] + options;
            try (Connection connection = DriverManager.getConnection(url)) {
                check(connection.isValid(10), "valid");
                check(connection.getCatalog().equals("sync"), "catalog " + connection.getCatalog());
                DatabaseMetaData meta = connection.getMetaData();
                check(meta.getDatabaseProductVersion().contains("causeway"), meta.getDatabaseProductVersion());
                List<String> catalogs = column(meta.getCatalogs(), "TABLE_CAT");
                check(catalogs.containsAll(List.of("sync", "information_schema", "performance_schema")), "" + catalogs);
                List<String> tables = column(meta.getTables("sync", null, "%", null), "TABLE_NAME");
                check(tables.containsAll(List.of("status", "conflicts", "tasks")), "" + tables);
                List<String> columns = column(meta.getColumns("sync", null, "status", null), "COLUMN_NAME");
                check(columns.containsAll(List.of("task", "direction", "lag_ms", "state")), "" + columns);
                List<String> keys = column(meta.getPrimaryKeys("sync", null, "status"), "COLUMN_NAME");
                check(keys.equals(List.of("direction", "task")), "" + keys);
                check(column(meta.getIndexInfo("sync", null, "status", false, true), "COLUMN_NAME").size() == 2, "indexes");
                check(column(meta.getImportedKeys("sync", null, "status"), "FKTABLE_NAME").isEmpty(), "foreign keys");
                check(column(meta.getProcedures("sync", null, "%"), "PROCEDURE_NAME").isEmpty(), "procedures");

                String sql = "SELECT direction, lag_ms, rows_applied FROM sync.status WHERE task = ? AND rows_applied >= ? ORDER BY 1";
                try (PreparedStatement statement = connection.prepareStatement(sql)) {
                    check(statement.getParameterMetaData().getParameterCount() == 2, "parameters");
                    check(statement.getMetaData().getColumnCount() == 3, "columns");
                    for (String task : new String[] {"orders", "ORDERS", "it's not there"}) {
                        statement.setString(1, task);
                        statement.setLong(2, 0);
                        List<String> found = column(statement.executeQuery(), "direction");
                        check(found.equals(task.startsWith("it") ? List.of() : List.of("forward", "reverse")), task + found);
                    }
                    statement.setNull(1, Types.VARCHAR);
                    check(column(statement.executeQuery(), "direction").isEmpty(), "NULL");
                }
                String typed = "SELECT ? AS i, ? AS d, ? AS s, ? AS at, ? AS n";
                try (PreparedStatement statement = connection.prepareStatement(typed)) {
                    statement.setInt(1, -5);
                    statement.setDouble(2, 0.25);
                    statement.setString(3, "größe '\\ 🦀");
                    statement.setTimestamp(4, Timestamp.valueOf("2026-11-22 20:41:38"));
                    statement.setNull(5, Types.INTEGER);
                    ResultSet row = statement.executeQuery();
                    check(row.next() && row.getInt("i") == -5 && row.getDouble("d") == 0.25, "numbers");
                    check(row.getString("s").equals("größe '\\ 🦀"), row.getString("s"));
                    check(row.getString("at").startsWith("2026-11-22 20:41:38"), row.getString("at"));
                    check(row.getString("n") == null, "NULL");
                }
                connection.setAutoCommit(false);
                try (Statement statement = connection.createStatement()) {
                    ResultSet status = statement.executeQuery("SHOW REPLICA STATUS FOR CHANNEL 'orders:reverse'");
                    check(status.next() && status.getString("Replica_IO_Running").equals("Yes"), "replica status");
                    check(status.getObject("Seconds_Behind_Source") == null || status.getLong("Seconds_Behind_Source") < 3600, "lag");
                    statement.executeUpdate("SET NAMES utf8mb4");
                    try {
                        statement.executeQuery("SELECT absent FROM sync.status");
                        check(false, "an error was due");
                    } catch (SQLException error) {
                        check(error.getErrorCode() == 1054 && error.getSQLState().equals("42S22"), "" + error);
                    }
                }
                connection.commit();
                connection.setAutoCommit(true);
            }
        }
        System.out.println("done");
    }
}
