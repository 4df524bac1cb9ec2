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
    expect(ran).toMatchObject({ exit: 1, stdout: expect.stringMatching(/^nothing to replay on postgres/) })
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

describe('dlq replay --rate', () => {
  it('hands over no faster', async () => {
    const { evt, open } = await sevenDeadLetters()
    const startedMs = performance.now()
    await evt('replay', '--rate', '8', '--yes')
    // Two at a time: the seventh comes when six have had their time. A timer may be a millisecond early.
    expect(performance.now() - startedMs).toBeGreaterThan(745)
    expect(await open()).toEqual([])
  })
})

describe('dlq replay of what was replayed too often', () => {
  const wornOut = async () => {
    const made = await sevenDeadLetters()
    await made.database.store.query('update evt.dead_letters set replay_count = 3 where id < 6')
    return made
  }

  it('counts for --limit only what may be replayed', async () => {
    const { evt, open } = await wornOut()
    const ran = await evt('replay', '--limit', '1', '--yes')
    expect(ran).toMatchObject({ exit: 5, stdout: expect.stringMatching(/^replayed 1 /) })
    expect(ran.stderr).toContain('left out 5 that were replayed too often')
    expect(await open()).toEqual([1, 2, 3, 4, 5, 7])
  })

  it('says so before the plan', async () => {
    const { evt } = await wornOut()
    const { stderr } = await evt('replay')
    expect(stderr).toMatch(/^left out 5 [^\n]*\nhint: [^\n]*\nwould replay 2 dead letters/)
  })

  it('exits 1 when all that was named is left out, and 0 when nothing was named', async () => {
    const { evt } = await wornOut()
    const ran = await evt('replay', '--ids', '1', '--yes')
    expect(ran).toMatchObject({ exit: 1, stdout: expect.stringMatching(/^nothing to replay on postgres/) })
    expect(ran.stderr).toContain('raise --max-replays')
    const document = await evt('replay', '--cause', '3f', '--max-replays', '1', '--ids', '1', '--yes', '--json')
    expect(document.exit).toBe(1)
    expect(JSON.parse(document.stdout)).toMatchObject({ status: 'fail', data: { plan: { count: 0 } } })
    expect(await evt('replay', '--where', "subject == 'user/0'", '--yes')).toMatchObject({ exit: 0 })
  })
})

describe('dlq replay --cause', () => {
  it('exits 2 for a cause that no dead letter has, and names the nearest ones', async () => {
    const { evt, open } = await sevenDeadLetters()
    const typo = await evt('replay', '--cause', '3f2b', '--yes')
    expect(typo).toMatchObject({ exit: 2, stdout: '' })
    expect(typo.stderr).toMatch(/^evt: cannot replay cause 3f2b: no dead letter on postgres[^\n]* has it\n/)
    expect(typo.stderr).toContain('hint: did you mean 3f2a0000?')
    const far = await evt('replay', '--cause', 'zzzz', '--dry-run')
    expect(far).toMatchObject({ exit: 2, stderr: expect.stringContaining('hint: causes: b1770000, 3f2a0000;') })
    expect(await open()).toHaveLength(7)
  })

  it('exits 1 when none of that cause is open, or none of it matches --where', async () => {
    const { database, evt } = await sevenDeadLetters()
    const other = await evt('replay', '--cause', '3f', '--where', "type == 'nothing'", '--yes')
    expect(other).toMatchObject({ exit: 1, stderr: expect.stringContaining('no open dead letter of cause 3f matches') })
    await database.store.query("update evt.dead_letters set status = 'replayed'")
    const settled = await evt('replay', '--cause', '3f', '--yes')
    expect(settled).toMatchObject({ exit: 1, stderr: expect.stringContaining('no dead letter of cause 3f is open') })
    expect(await evt('replay', '--yes')).toMatchObject({ exit: 0 })
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
    // Nobody knows where in it the sensitive fields of its contract would be.
    expect((await evt('show', '1')).stdout).toContain('\ndata\n  "***"\n')
    const revealed = await evt('show', '1', '--reveal')
    expect(revealed).toMatchObject({ exit: 0, stdout: expect.stringContaining('\ndata\n  {"half\n') })
    const { data } = JSON.parse((await evt('show', '1', '--reveal', '--json')).stdout)
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
