import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Parser } from '@asyncapi/parser'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createNowhere, runHere } from './evt.ts'

describe('evt schema', () => {
  it('exports an AsyncAPI 3 document that its parser accepts, with who sends and who receives', async () => {
    const { stdout, exit } = await runHere(['schema', 'export', '--format', 'asyncapi'])
    expect(exit).toBe(0)
    const { document, diagnostics } = await new Parser().parse(stdout)
    expect(diagnostics.filter(({ severity }) => severity === 0)).toEqual([])
    expect(document?.version()).toBe('3.0.0')
    expect(
      document
        ?.channels()
        .all()
        .map((one) => one.address()),
    ).toContain('user.created')
    expect(document?.operations().filterByReceive().length).toBeGreaterThan(5)
  })

  it('finds in two exports what breaks whom, and ends with 1', async () => {
    const nowhere = createNowhere()
    onTestFinished(nowhere.dispose)
    const { stdout } = await runHere(['schema', 'export'], { cwd: nowhere.path })
    mkdirSync(nowhere.path, { recursive: true })
    const old = join(nowhere.path, 'old.json')
    const next = join(nowhere.path, 'next.json')
    const file = JSON.parse(stdout)
    writeFileSync(old, stdout)
    delete file.types['user.created'].versions[2].properties.user_data.properties.email
    delete file.types['auth.login']
    writeFileSync(next, JSON.stringify(file))
    expect(await runHere(['schema', 'diff', old, '.'], { cwd: nowhere.path })).toMatchObject({ exit: 0 })
    const ran = await runHere(['schema', 'diff', old, next, '--json'], { cwd: nowhere.path })
    expect(ran.exit).toBe(1)
    expect(JSON.parse(ran.stdout).data.changes).toMatchObject([
      { path: 'auth.login', change: 'removed', breaking: 'both' },
      { path: 'user.created v2: data.user_data.email', change: 'removed', breaking: 'forwards' },
    ])
  })

  it('says what is wrong with what it is to compare', async () => {
    const bad = async (...words: string[]) => (await runHere(['schema', 'diff', ...words])).stderr
    expect(await bad('user.created@9', '.')).toMatch(
      /the configured services have no such contract[\s\S]*versions 1 to 2/,
    )
    expect(await bad('nowhere.json', '.')).toMatch(/cannot read .*nowhere\.json/)
    expect(await bad(join(import.meta.dirname, '../../package.json'), '.')).toMatch(/it holds no contracts/)
    expect(await bad('user.created@1', '.')).toMatch(/one is a version, the other all contracts/)
  })
})

describe('evt access print', () => {
  it.each([
    ['redis', /^ACL SETUSER icons on >PASSWORD/],
    ['kafka', /^kafka-acls\.sh/],
    ['rabbitmq', /^rabbitmqctl set_permissions/],
    ['postgres', /^create role "icons" login/],
  ])('writes the rules of %s, and names services that have none', async (target, text) => {
    const ran = await runHere(['access', 'print', '--for', target])
    expect(ran.stdout).toMatch(text)
    expect(ran.stderr).toMatch(/without rules of their own, so everything is allowed: icons/)
  })
})
