import { describe, expect, it, onTestFinished } from 'vitest'
import type { TestDatabase } from '../setup/database.ts'
import { createNowhere, runHere } from './evt.ts'
import { createStoreFor } from './stores.ts'

/** Seven dead letters with the ids 1 to 7: three of cause 3f2a0000, four of b1770000. */
async function sevenDeadLetters() {
  const database = (await createStoreFor('dead-letter')) as TestDatabase
  const nowhere = createNowhere()
  onTestFinished(nowhere.dispose)
  const evt = (...words: string[]) => runHere(['dlq', ...words], { store: database.url, cwd: nowhere.path })
  const open = async () => {
    const { rows } = await database.store.query("select id from evt.dead_letters where status = 'open' order by id")
    return rows.map((row) => Number(row.id))
  }
  return { database, evt, open }
}

describe('dlq replay --ids', () => {
  it('names ids that are unknown, does nothing and exits 2 when none is known', async () => {
    const { evt, open } = await sevenDeadLetters()
    for (const more of [[], ['--yes'], ['--dry-run']]) {
      const ran = await evt('replay', '--ids', '999,1000', ...more)
      expect(ran).toMatchObject({ exit: 2, stdout: '' })
      expect(ran.stderr).toMatch(/^evt: cannot replay dead letters 999, 1000: there are none of these ids on postgres/)
      expect(ran.stderr).toContain('hint: see `evt dlq list --flat`')
    }
    expect((await evt('replay', '--ids', '999', '--yes')).stderr).toMatch(
      /^evt: cannot replay dead letter 999: there is none of this id on postgres/,
    )
    expect(await open()).toHaveLength(7)
  })

  it('replays those that are known, names the others and exits 5', async () => {
    const { evt, open } = await sevenDeadLetters()
    const ran = await evt('replay', '--ids', '2,999,3', '--yes', '--json')
    expect(ran.exit).toBe(5)
    const { data, diagnostics } = JSON.parse(ran.stdout)
    expect(data).toMatchObject({ replayed: 2, unknownIds: ['999'] })
    expect(diagnostics).toContainEqual(
      expect.objectContaining({ level: 'warning', message: expect.stringMatching(/^left out 999: there is none of/) }),
    )
    expect(await open()).toEqual([1, 4, 5, 6, 7])
  })

  it('says which ids are open no more, and that nothing is to be replayed', async () => {
    const { database, evt } = await sevenDeadLetters()
    await database.store.query("update evt.dead_letters set status = 'replayed' where id < 3")
    const ran = await evt('replay', '--ids', '2', '--yes')
    expect(ran).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^nothing to replay on postgres/) })
    expect(ran.stderr).toContain('left out 2 (replayed): only open ones are replayed')
  })

  it('says in the indicative that there was nothing, and keeps the plan for a dry run', async () => {
    const { evt } = await sevenDeadLetters()
    const none = ['replay', '--where', "type == 'nothing'"]
    expect((await evt(...none, '--yes')).stdout).toMatch(/^nothing to replay on postgres/)
    expect((await evt(...none, '--dry-run')).stdout).toMatch(/^would replay 0 dead letters on postgres/)
    expect(JSON.parse((await evt(...none, '--yes', '--json')).stdout).meta).toMatchObject({ dryRun: false })
  })

  it('takes an empty selection for a mistake, never for all', async () => {
    const { evt, open } = await sevenDeadLetters()
    for (const words of [
      ['--ids', ''],
      ['--ids', ' , '],
      ['--cause', ''],
    ]) {
      const ran = await evt('replay', ...words, '--yes')
      expect(ran, words.join()).toMatchObject({ exit: 2, stderr: expect.stringContaining(`cannot use ${words[0]}`) })
    }
    expect(await open()).toHaveLength(7)
  })
})

describe('dlq show', () => {
  it('keeps every digit of the data, as text and as a document', async () => {
    const { database, evt } = await sevenDeadLetters()
    const body = Buffer.from('{"n":12345678901234567890,"price":1.10}')
    await database.store.query('update evt.dead_letters set body = $1 where id = 1', [body])
    expect((await evt('show', '1')).stdout).toContain('  {\n    "n": 12345678901234567890,\n    "price": 1.10\n  }\n')
    expect((await evt('show', '1', '--json')).stdout).toContain('"data":{"n":12345678901234567890,"price":1.10}')
  })

  it('shows bytes that are no JSON as far as they are text, and they stop no --where', async () => {
    const { database, evt } = await sevenDeadLetters()
    await database.store.query('update evt.dead_letters set body = $1 where id = 1', [Buffer.from('{"half')])
    expect(await evt('show', '1')).toMatchObject({ exit: 0, stdout: expect.stringContaining('\ndata\n  {"half\n') })
    const { data } = JSON.parse((await evt('show', '1', '--json')).stdout)
    expect(data).toMatchObject({ bytes: 6, text: '{"half', event: { id: 'event-0', source: 'test' } })
    expect(data.event).not.toHaveProperty('data')
    const { stdout } = await evt('list', '--flat', '--json', '--where', "source == 'test' and subject == 'user/0'")
    expect(JSON.parse(stdout).data.letters).toHaveLength(1)
    expect((await evt('list', '--where', "data.user_id == '3'")).stdout).toContain('3f2a0000'.slice(0, 8))
  })
})

describe('--limit', () => {
  it('0 is refused with the range that is allowed, and replays nothing', async () => {
    const { evt, open } = await sevenDeadLetters()
    for (const words of [['list'], ['list', '--flat'], ['replay', '--yes']]) {
      const ran = await evt(...words, '--limit', '0')
      expect(ran, words.join()).toMatchObject({ exit: 2, stdout: '' })
      expect(ran.stderr).toMatch(/^evt: cannot use --limit 0: it must be 1 or more\n/)
    }
    expect(await open()).toHaveLength(7)
  })
})

describe('--cause', () => {
  it('takes the beginning of a fingerprint, and says when none begins so', async () => {
    const { evt } = await sevenDeadLetters()
    const causes = async (cause: string) =>
      JSON.parse((await evt('list', '--cause', cause, '--json')).stdout).data.causes.map(
        (one: { cause: string; count: number }) => [one.cause, one.count],
      )
    expect(await causes('3f')).toEqual([['3f2a0000', 3]])
    expect(await causes('b1770000')).toEqual([['b1770000', 4]])
    expect(await causes('%')).toEqual([])
    for (const words of [[], ['--flat']]) {
      const { stdout } = await evt('list', '--cause', 'ffff', ...words)
      expect(stdout).toBe('no dead letter matches\n')
    }
    const flat = await evt('list', '--flat', '--cause', '3f', '--limit', '2')
    expect(flat.stdout.match(/3f2a0000/g)).toHaveLength(2)
    expect((await evt('replay', '--cause', '3f', '--dry-run')).stdout).toContain('would replay 3 dead letters')
  })
})
