import { describe, expect, it } from 'vitest'
import { createTestDatabase } from '../setup/database.ts'
import { runHere } from './evt.ts'

describe('evt token', () => {
  it('shows a token once, keeps its hash, lists it and takes it away', async () => {
    const { url, store } = await createTestDatabase()
    const made = await runHere(
      [
        'token',
        'create',
        '--scope',
        'publish,read',
        '--types',
        'user.{created,deleted},order.*',
        '--expires',
        '30d',
        '--name',
        'ci',
      ],
      { store: url },
    )
    expect(made).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^evt_[\w-]{43}\n$/) })
    expect(made.stderr).toContain('nobody can show it again')
    const token = made.stdout.trim()
    const { rows } = await store.query('select t::text as row, types from evt.tokens t')
    expect(rows).toMatchObject([{ types: ['user.{created,deleted}', 'order.*'] }])
    expect(String(rows[0]?.row)).not.toContain(token.slice(4))
    const again = await runHere(['token', 'create', '--scope', 'read', '--name', 'ci'], { store: url })
    expect(again.exit).not.toBe(0)
    expect(again.stderr).toContain('evt token revoke ci')
    expect((await runHere(['token', 'revoke', 'ci'], { store: url })).exit).toBe(4)
    expect((await runHere(['token', 'revoke', 'ci', '--yes', '--reason', 'left'], { store: url })).exit).toBe(0)
    expect((await runHere(['token', 'revoke', 'ci', '--yes'], { store: url })).exit).toBe(2)
    const list = JSON.parse((await runHere(['token', 'list', '--json'], { store: url })).stdout)
    expect(list.data.tokens).toMatchObject([
      { name: 'ci', state: 'revoked', scopes: ['publish', 'read'], usedAt: null },
    ])
    const { rows: audit } = await store.query('select verb, target, reason from evt.audit order by id')
    expect(audit).toEqual([
      { verb: 'token create', target: 'ci', reason: null },
      { verb: 'token revoke', target: 'ci', reason: 'left' },
    ])
  })

  it.each([
    [['--name', 'ci'], '--scope is missing'],
    [['--scope', 'read'], '--name is missing'],
    [['--scope', 'admin', '--name', 'ci'], 'none of publish, read, operate'],
    [['--scope', 'read', '--name', 'a b'], 'a name is'],
    [['--scope', 'read', '--name', 'ci', '--types', 'user.cre*'], '*'],
    [['--scope', 'read', '--name', 'ci', '--expires', '0'], 'over at once'],
  ])('create %j is refused', async (words, says) => {
    const { url } = await createTestDatabase()
    const ran = await runHere(['token', 'create', ...words], { store: url })
    expect(ran).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining(says) })
  })
})
