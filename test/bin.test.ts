import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const versionOf = (node: string) => execFileSync(node, ['--version']).toString().slice(1)
/** What the machine itself has, when evt cannot run on it. */
const oldNode = (process.env.PATH ?? '')
  .split(delimiter)
  .map((directory) => join(directory, 'node'))
  .filter((node) => existsSync(node))
  .find((node) => Number.parseInt(versionOf(node), 10) < 22)

/** In place of evt: says which signals it gets, ends as it is told. */
const program = `
const [what, value] = process.argv.slice(2)
if (what === 'exit') process.exit(Number(value))
if (what === 'die') process.kill(process.pid, value)
if (what === 'echo') process.stdin.pipe(process.stdout)
if (what === 'wait') {
  setInterval(() => {}, 1000)
  process.on(value, () => process.stdout.write('got ' + value, () => process.exit(7)))
  process.stdout.write('ready ')
}
`

describe.skipIf(!oldNode)('bin/evt.js under a Node that is too old', () => {
  const checkout = mkdtempSync(join(tmpdir(), 'evt-bin-'))
  beforeAll(() => {
    for (const directory of ['bin', 'dist', 'node_modules/.bin'])
      mkdirSync(join(checkout, directory), { recursive: true })
    copyFileSync(resolve(import.meta.dirname, '../bin/evt.js'), join(checkout, 'bin/evt.js'))
    writeFileSync(join(checkout, 'package.json'), '{"type":"module"}')
    writeFileSync(join(checkout, 'dist/main.js'), program)
    symlinkSync(process.execPath, join(checkout, 'node_modules/.bin/node'))
  })
  afterAll(() => rmSync(checkout, { recursive: true, force: true }))

  function launch(...words: string[]) {
    const child = spawn(oldNode as string, [join(checkout, 'bin/evt.js'), ...words], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    let stdout = ''
    child.stdout.on('data', (chunk) => {
      stdout += chunk
    })
    const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, stdout }))
    return { child, ended }
  }

  it('takes the Node of the checkout, with the same words, streams and exit code', async () => {
    expect(await launch('exit', '5').ended).toEqual({ code: 5, signal: null, stdout: '' })
    const { child, ended } = launch('echo')
    child.stdin.end('through')
    expect(await ended).toEqual({ code: 0, signal: null, stdout: 'through' })
  })

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('hands %s on, and ends as evt ends', async (signal) => {
    const { child, ended } = launch('wait', signal)
    await once(child.stdout, 'data')
    child.kill(signal)
    expect(await ended).toEqual({ code: 7, signal: null, stdout: `ready got ${signal}` })
  })

  it.each(['SIGTERM', 'SIGKILL'] as const)('dies of the %s that evt died of', async (signal) => {
    expect(await launch('die', signal).ended).toEqual({ code: null, signal, stdout: '' })
  })

  it('says what to install when there is none in the checkout', () => {
    rmSync(join(checkout, 'node_modules'), { recursive: true })
    const run = () => execFileSync(oldNode as string, [join(checkout, 'bin/evt.js')], { stdio: 'pipe' })
    expect(run).toThrow(/is too old, evt needs 22\.22 or newer\.\nhint: install a current Node/)
  })
})
