import type { ConfigKey } from '../../config/keys.ts'
import { loadConfig } from '../../config/load.ts'
import { type Outcome, outcomeOf } from '../../output/exit-codes.ts'
import { createOutput, type Output, type OutputFormat } from '../../output/output.ts'
import { type ColorChoice, createPaint, wantsColor } from '../../output/paint.ts'
import { asDiagnostic, problemOf, renderProblem } from '../../output/problem.ts'
import { createPrompter } from '../../output/prompt.ts'
import { createSink } from '../../output/sink.ts'
import type { Command, OptionGroup } from '../command.ts'
import { type CommandName, registry } from '../registry.ts'
import type { Runtime } from '../runtime.ts'
import { argumentValues, type GivenLine, longFlag, optionValues, splitLine } from './flags.ts'
import { renderCommandHelp } from './help.ts'
import { globalOptions } from './options.ts'

/** The process, as main hands it in. */
export interface World {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly pid: number
  readonly version: string
  readonly signal: AbortSignal
  now(): number
}

/** Parses, validates, runs and reports one command. Never throws: what went wrong is printed and becomes an outcome. */
export async function dispatch(name: CommandName, words: readonly string[], world: World): Promise<Outcome> {
  const speech = {
    output: fallbackOutput(name, words, world),
    debug: words.includes('--debug') || world.env.EVT_DEBUG === '1',
  }
  try {
    const command = (await registry[name].load()).default
    const options: OptionGroup = { ...command.options, ...globalOptions }
    const given = splitLine(command, options, words)
    if (given.options.help) return help(command, world)
    const prepared = await prepare({ command, options, given, world })
    speech.output = prepared.runtime.output
    return (await command.run(prepared.input, prepared.runtime)) ?? (world.signal.aborted ? 'interrupted' : 'done')
  } catch (error) {
    return report(error, { ...speech, world })
  } finally {
    await speech.output.flush()
  }
}

function help(command: Command, { stdout, env }: World): Outcome {
  const paint = createPaint(wantsColor({ choice: 'auto', isTTY: stdout.isTTY, env }))
  const columns = stdout.isTTY ? stdout.columns : undefined
  stdout.write(renderCommandHelp(command, command.options, globalOptions, { paint, columns }))
  return 'done'
}

interface Line {
  readonly command: Command
  readonly options: OptionGroup
  readonly given: GivenLine
  readonly world: World
}

/** Everything is checked here, before the command connects to anything. */
async function prepare({ command, options, given, world }: Line) {
  const context = { nowMs: world.now() }
  const values = optionValues(options, { given, env: world.env, context })
  const args = argumentValues(command, given, context)
  const file = values.config as string | undefined
  const config = await loadConfig({
    cwd: world.cwd,
    env: world.env,
    flags: configuredFlags(options, given),
    ...(file ? { file } : {}),
  })
  for (const [key, spec] of Object.entries(options)) if (spec.config) values[key] = config.get(spec.config).value
  const output = outputFor(command.name, values, world)
  const { format } = output
  const prompter = createPrompter({ stdin: world.stdin, stderr: world.stderr, format, signal: world.signal })
  const typed = new Set(Object.keys(given.options))
  return { input: { args, options: values, typed }, runtime: runtimeOf(world, { output, prompter, config }) }
}

function runtimeOf(world: World, own: Pick<Runtime, 'output' | 'prompter' | 'config'>): Runtime {
  const { stdin, stdout, stderr, env, cwd, version, pid, signal, now } = world
  return { stdin, terminal: { stdout, stderr }, env, cwd, version, pid, signal, now, ...own }
}

function configuredFlags(options: OptionGroup, given: GivenLine): Parameters<typeof loadConfig>[0]['flags'] {
  const flags: Partial<Record<ConfigKey, { text: string; flag: string }>> = {}
  for (const [key, spec] of Object.entries(options)) {
    const found = given.options[key]
    if (spec.config && typeof found === 'string') flags[spec.config] = { text: found, flag: longFlag(key) }
  }
  return flags
}

function outputFor(command: string, values: Record<string, unknown>, world: World): Output {
  const asked = values.json ? 'json' : ((values.output as string | undefined) ?? 'text')
  const format = (asked === 'table' ? 'text' : asked) as OutputFormat
  const verbosity = values.quiet ? 'quiet' : values.verbose ? 'verbose' : 'normal'
  return newOutput({ command, format, verbosity, color: values.color as ColorChoice }, world)
}

/** For what goes wrong before the line is understood. */
const fallbackOutput = (command: string, words: readonly string[], world: World) =>
  newOutput({ command, format: words.includes('--json') ? 'json' : 'text', verbosity: 'normal', color: 'auto' }, world)

interface Manner {
  readonly command: string
  readonly format: OutputFormat
  readonly verbosity: Output['verbosity']
  readonly color: ColorChoice
}

function newOutput({ command, format, verbosity, color }: Manner, { stdout, stderr, env }: World): Output {
  const machine = format === 'json' || format === 'ndjson'
  return createOutput({
    command,
    format,
    verbosity,
    stdout: createSink(stdout),
    stderr: createSink(stderr),
    paint: createPaint(!machine && wantsColor({ choice: color, isTTY: stdout.isTTY, env })),
    paintNotice: createPaint(wantsColor({ choice: color, isTTY: stderr.isTTY, env })),
  })
}

/** A failure that the operator's own interruption caused is no failure. */
function report(error: unknown, { output, debug, world }: { output: Output; debug: boolean; world: World }): Outcome {
  if (world.signal.aborted && isAbort(error, world.signal)) return 'interrupted'
  const problem = problemOf(error)
  output.failure(asDiagnostic(problem))
  world.stderr.write(renderProblem(error, { paint: output.paintNotice, debug }))
  return outcomeOf(problem.code)
}

function isAbort(error: unknown, signal: AbortSignal): boolean {
  if (error === signal.reason) return true
  const { name, code } = error as { name?: string; code?: string }
  return name === 'AbortError' || code === 'ABORT_ERR' || code === 'interrupted'
}
