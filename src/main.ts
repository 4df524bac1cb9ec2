// The process: the only place that reads argv and the environment, handles signals and sets the exit code. It decides
// nothing of the business, and loads a command only when one is asked for.
import { readFileSync } from 'node:fs'
import { findCommand, groupMembers } from './commands/line/find.ts'
import { renderGroupHelp, renderRootHelp } from './commands/line/help.ts'
import { EvtError } from './core/errors.ts'
import { exitCodes, type Outcome, outcomeOf } from './output/exit-codes.ts'
import { createPaint, wantsColor } from './output/paint.ts'
import { problemOf, renderProblem } from './output/problem.ts'
import { isReaderGone, writeFailure } from './output/write-failure.ts'

const { argv, env, stdin, stdout, stderr } = process
const stop = new AbortController()
const signalCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
type Signal = keyof typeof signalCodes
let signalled: { readonly name: Signal; readonly atMs: number } | undefined
let readerGone = false
/** What stopped the output, unless its reader left. */
let unwritten: EvtError | undefined

for (const name of Object.keys(signalCodes) as Signal[]) process.on(name, () => interrupted(name))
process.on('uncaughtException', crashed)
process.on('unhandledRejection', crashed)
stdout.on('error', lostReader)
stderr.on('error', () => {})

/** npm and bin/evt.js hand on what the terminal has already sent to this process too. */
const echoMs = 200

/** The first signal asks the command to end, the second ends the process. */
function interrupted(name: Signal): void {
  const atMs = performance.now()
  if (signalled?.name === name && atMs - signalled.atMs < echoMs) return
  if (signalled) forceExit(signalCodes[name])
  signalled = { name, atMs }
  stop.abort(new EvtError('interrupted', `cannot finish: interrupted by ${name}`, { cause: name }))
}

/**
 * `evt … | head -1`, or the terminal closed: whoever read has what they wanted, so the command ends, quietly. A full disk
 * ends it too, and is told.
 */
function lostReader(error: NodeJS.ErrnoException): void {
  if (readerGone) return
  readerGone = true
  if (!isReaderGone(error)) unwritten = writeFailure(error)
  stop.abort(unwritten ?? new EvtError('interrupted', 'cannot finish: nobody reads the output any more'))
  setTimeout(() => forceExit(exitCodeOf(unwritten ? complain(unwritten) : 'done')), 2_000).unref()
}

function crashed(error: unknown): never {
  restoreTerminal()
  stderr.write(renderProblem(error, { paint: createPaint(false), debug: true }))
  process.exit(exitCodes.defect.code)
}

function forceExit(code: number): never {
  restoreTerminal()
  process.exit(code)
}

/** Raw mode on means that the dashboard owned the screen: leave its screen, show the cursor. */
function restoreTerminal(): void {
  if (!stdin.isTTY || !stdin.isRaw) return
  stdin.setRawMode(false)
  stdout.write('\u001b[?1049l\u001b[?25h')
}

const versionOf = () => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return version
}

async function run(words: readonly string[]): Promise<Outcome> {
  const found = await findCommand(words)
  const page = {
    paint: createPaint(wantsColor({ choice: 'auto', isTTY: stdout.isTTY, env })),
    columns: stdout.isTTY ? stdout.columns : undefined,
  }
  if (found.kind === 'version') return print(`evt ${versionOf()}\n`)
  if (found.kind === 'help') return print(renderRootHelp(versionOf(), page))
  if (found.kind === 'group') {
    const text = renderGroupHelp(found.name, groupMembers(found.name), page)
    if (found.help) return print(text)
    stderr.write(text)
    return 'usage'
  }
  const { dispatch } = await import('./commands/line/dispatch.ts')
  const world = {
    stdin,
    stdout,
    stderr,
    env,
    cwd: process.cwd(),
    pid: process.pid,
    version: versionOf(),
    signal: stop.signal,
    now: Date.now,
  }
  return dispatch(found.name, found.words, world)
}

function print(text: string): Outcome {
  stdout.write(text)
  return 'done'
}

function complain(error: unknown): Outcome {
  const paint = createPaint(wantsColor({ choice: 'auto', isTTY: stderr.isTTY, env }))
  stderr.write(renderProblem(error, { paint, debug: argv.includes('--debug') }))
  return outcomeOf(problemOf(error).code)
}

function exitCodeOf(outcome: Outcome): number {
  if (readerGone && !unwritten) return 0
  return outcome === 'interrupted' && signalled ? signalCodes[signalled.name] : exitCodes[outcome].code
}

const ended = await run(argv.slice(2)).catch(complain)
// What is still in the streams leaves first: a process that exits drops it.
const left = (stream: NodeJS.WriteStream) => new Promise((resolve) => stream.write('', resolve))
if (!readerGone) await Promise.all([stdout, stderr].map(left))
const outcome = unwritten ? complain(unwritten) : ended
if (unwritten) await left(stderr)
process.exit(exitCodeOf(outcome))
