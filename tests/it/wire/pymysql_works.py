import sys
import pymysql

port, password = int(sys.argv[1]), sys.argv[2]


def connect(password=password, **more):
    return pymysql.connect(host="127.0.0.1", port=port, user="root", password=password, **more)


def refused(number, action):
    try:
        action()
    except pymysql.err.MySQLError as error:
        assert error.args[0] == number, error
    else:
        raise AssertionError(f"{number} expected")


for tls in [{"ssl_disabled": True}, {"ssl": {"check_hostname": False}}]:
    connection = connect(**tls)
    cursor = connection.cursor()
    cursor.execute("SELECT VALUES")
    assert cursor.fetchall() == ((-5, 18446744073709551615, 0.5, "größe 🦀", None),)
    connection.select_db("sync")
    cursor.execute("SELECT DATABASE()")
    assert cursor.fetchall() == (("sync",),)
    assert cursor.execute("CHANGE 3") == 3
    connection.ping(reconnect=False)
    refused(1227, lambda: cursor.execute("FAIL"))
    cursor.execute("SELECT 1")
    assert cursor.fetchall() == ((1,),)
    connection.close()
    refused(1045, lambda: connect("wrong", **tls))
    refused(1045, lambda: connect("", **tls))
print("done")
