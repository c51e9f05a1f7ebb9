const assert = require('assert');
const mysql = require('mysql2/promise');

const [port, password] = process.argv.slice(1);
const connect = (more) => mysql.createConnection({ host: '127.0.0.1', port, user: 'root', password, ...more });

(async () => {
  for (const tls of [{}, { ssl: { rejectUnauthorized: false } }]) {
    const connection = await connect(tls);
    const expected = [{ i: -5, u: '18446744073709551615', d: 0.5, t: 'größe 🦀', n: null }];
    const numbers = { supportBigNumbers: true };
    assert.deepStrictEqual((await connection.query({ sql: 'SELECT VALUES', ...numbers }))[0], expected);
    assert.deepStrictEqual((await connection.execute({ sql: 'SELECT VALUES', ...numbers }))[0], expected);
    await connection.query('USE sync');
    assert.deepStrictEqual((await connection.query('SELECT DATABASE()'))[0], [{ 'DATABASE()': 'sync' }]);
    assert.strictEqual((await connection.query('CHANGE 3'))[0].affectedRows, 3);
    await connection.ping();
    await assert.rejects(connection.query('FAIL'), { errno: 1227, sqlState: '42000' });
    assert.deepStrictEqual((await connection.execute('SELECT ?', ['größe']))[0], [{ '?': 'größe' }]);
    await connection.end();
    await assert.rejects(connect({ ...tls, password: 'wrong' }), { errno: 1045 });
    await assert.rejects(connect({ ...tls, password: '' }), { errno: 1045 });
    const chosen = await connect({ ...tls, database: 'sync' });
    assert.deepStrictEqual((await chosen.query('SELECT DATABASE()'))[0], [{ 'DATABASE()': 'sync' }]);
    await chosen.end();
  }
  console.log('done');
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
