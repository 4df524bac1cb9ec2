// An application that commits events: `node writer-process.ts <WriterProcessOptions>`. Each committed event stands in the
// ledger file, synced, before its connection writes the next one; so does what was rolled back, and what has an unknown
// outcome. Ends after SIGTERM with what it began, or with its parent.
import { fsyncSync, openSync, writeSync } from 'node:fs'
import pg from 'pg'
import { v7 } from 'uuid'
import { createRandom } from '../../src/core/random.ts'

export interface WriterProcessOptions {
  readonly url: string
  readonly ledgerFile: string
  readonly seed: number
  /** They are numbered without gaps: a row each, that its writers wait for. */
  readonly subjects: number
  readonly connections: number
  /** Between two transactions of a connection, on average. */
  readonly pauseMs: number
  /** So many of the transactions stay open for up to `openMs` before they end. */
  readonly openShare: number
  readonly openMs: number
  readonly rollbackShare: number
  /** So many write in a savepoint too, of which half are rolled back. */
  readonly savepointShare: number
}

const options = JSON.parse(process.argv[2] ?? '{}') as WriterProcessOptions
const ledger = openSync(options.ledgerFile, 'a')
let ending = false
process.on('SIGTERM', () => {
  ending = true
})
process.stdin.on('end', () => process.exit(0)).resume()

/** C committed, R rolled back, U unknown: the connection was lost while it committed. */
type Outcome = 'C' | 'R' | 'U'

function note(outcome: Outcome, ids: readonly string[]): void {
  writeSync(ledger, ids.map((id) => `${outcome} ${id}\n`).join(''))
  fsyncSync(ledger)
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function connect(): Promise<pg.Client | undefined> {
  const client = new pg.Client({ connectionString: options.url, connectionTimeoutMillis: 2000 })
  client.on('error', () => {})
  return client.connect().then(
    () => client,
    () => undefined,
  )
}

async function writeNext(client: pg.Client, subject: string, flaky: boolean): Promise<string> {
  const id = v7()
  const { rows } = await client.query(
    'update faults.subjects set sequence = sequence + 1 where subject = $1 returning sequence',
    [subject],
  )
  const data = JSON.stringify({ sequence: Number(rows[0].sequence), flaky })
  await client.query(`select evt.publish('fault.happened', $1::json, $2, id => $3)`, [data, subject, id])
  return id
}

async function writeOnce(client: pg.Client, random: () => number): Promise<void> {
  const subject = `account/${1 + Math.floor(random() * options.subjects)}`
  const flaky = () => random() < 0.05
  const ids: string[] = []
  await client.query('begin')
  if (random() < options.savepointShare) {
    await client.query('savepoint part')
    const id = await writeNext(client, subject, flaky())
    if (random() < 0.5) {
      await client.query('rollback to savepoint part')
      note('R', [id])
    } else {
      await client.query('release savepoint part')
      ids.push(id)
    }
  }
  ids.push(await writeNext(client, subject, flaky()))
  if (random() < options.openShare) await pause(random() * options.openMs)
  if (random() < options.rollbackShare) {
    await client.query('rollback')
    return note('R', ids)
  }
  try {
    await client.query('commit')
  } catch {
    return note('U', ids)
  }
  note('C', ids)
}

async function work(index: number): Promise<void> {
  const random = createRandom(options.seed * 1000 + index)
  let client: pg.Client | undefined
  while (!ending) {
    client ??= await connect()
    if (!client) {
      await pause(50)
      continue
    }
    try {
      await writeOnce(client, random)
      await pause(random() * 2 * options.pauseMs)
    } catch {
      // A lost connection before the commit: the server rolled back.
      await client.end().catch(() => {})
      client = undefined
    }
  }
  await client?.end().catch(() => {})
}

process.stdout.write('ready\n')
await Promise.all(Array.from({ length: options.connections }, (_, index) => work(index)))
process.exit(0)
