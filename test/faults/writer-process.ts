// An application that commits events, to be killed: `node writer-process.ts <url> <ledger file> <seed> <subjects>
// <connections>`. Each committed event stands in the ledger file, synced, before the next one is written; so does what
// was rolled back, and what has an unknown outcome. Ends after SIGTERM with what it began.
import { fsyncSync, openSync, writeSync } from 'node:fs'
import pg from 'pg'
import { v7 } from 'uuid'
import { createRandom } from '../../src/core/random.ts'

const [url = '', ledgerFile = '', seed = '1', subjects = '50', connections = '4', pauseMs = '2'] = process.argv.slice(2)
const ledger = openSync(ledgerFile, 'a')
let ending = false
process.on('SIGTERM', () => {
  ending = true
})

/** C committed, R rolled back, U unknown: the connection was lost while it committed. */
function note(outcome: 'C' | 'R' | 'U', id: string): void {
  writeSync(ledger, `${outcome} ${id}\n`)
  fsyncSync(ledger)
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function connect(): Promise<pg.Client | undefined> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 })
  client.on('error', () => {})
  return client.connect().then(
    () => client,
    () => undefined,
  )
}

async function writeOne(client: pg.Client, random: () => number): Promise<void> {
  const id = v7()
  const subject = `account/${1 + Math.floor(random() * Number(subjects))}`
  await client.query('begin')
  const { rows } = await client.query(
    'update faults.subjects set sequence = sequence + 1 where subject = $1 returning sequence',
    [subject],
  )
  const data = JSON.stringify({ sequence: Number(rows[0].sequence), flaky: random() < 0.05 })
  if (random() < 0.1) {
    await client.query('savepoint s')
    await client.query(`select evt.publish('fault.happened', $1::json, $2)`, [data, subject])
    await client.query('rollback to savepoint s')
  }
  await client.query(`select evt.publish('fault.happened', $1::json, $2, id => $3)`, [data, subject, id])
  if (random() < 0.05) await pause(random() * 60)
  if (random() < 0.1) {
    await client.query('rollback')
    return note('R', id)
  }
  try {
    await client.query('commit')
  } catch {
    return note('U', id)
  }
  note('C', id)
}

async function work(index: number): Promise<void> {
  const random = createRandom(Number(seed) * 1000 + index)
  let client: pg.Client | undefined
  while (!ending) {
    client ??= await connect()
    if (!client) {
      await pause(50)
      continue
    }
    try {
      await writeOne(client, random)
      await pause(random() * 2 * Number(pauseMs))
    } catch {
      // A lost connection before the commit: the server rolled back, and the id was never noted.
      await client.end().catch(() => {})
      client = undefined
    }
  }
  await client?.end().catch(() => {})
}

process.stdout.write('ready\n')
await Promise.all(Array.from({ length: Number(connections) }, (_, index) => work(index)))
