import { readFile } from 'node:fs/promises'
import { isAbsolute, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { EvtError, toError } from '../../core/errors.ts'
import { compilePattern } from '../../core/pattern.ts'
import type { ScenarioDefinition } from '../../core/scenario.ts'
import { suggestion } from '../../core/suggest.ts'
import { checked, parseScenario } from '../../generators/scenario/parse-scenario.ts'
import type { PlacedScenario } from '../../generators/scenario/place.ts'
import type { ServiceDefinition } from '../../handle/define-service.ts'
import { services } from '../../services/registry.ts'

export interface FoundScenarios {
  /** What the line asks for. */
  readonly asked: readonly PlacedScenario[]
  /** All that there are, for `include`. */
  readonly library: readonly PlacedScenario[]
}

const prefix = /^scenario:/
const text = /\.(ya?ml|json)$/i
const module = /\.[cm]?[jt]s$/i

/** `scenario:signup`, `scenario:gdpr-*`, `./my-scenario.yaml`. */
export const isScenario = (word: string): boolean =>
  prefix.test(word) || ((text.test(word) || module.test(word)) && /[/\\]|\.ya?ml$/i.test(word))

export const scenariosOf = (all: readonly ServiceDefinition[]): readonly PlacedScenario[] =>
  all.flatMap(({ name, scenarios = [] }) =>
    scenarios.map((definition) => ({ definition, place: `the service ${name}` })),
  )

/** Scenarios of the services by name or pattern, and those of files. Throws EvtError('usage', 'config') that names what is wrong, and the remedy. */
export async function findScenarios(
  words: readonly string[],
  all: readonly ServiceDefinition[],
  cwd: string,
): Promise<FoundScenarios> {
  const brought = scenariosOf(all)
  const other = words.find((word) => !isScenario(word))
  if (other !== undefined) {
    throw new EvtError('usage', `cannot make ${other} beside scenarios: a run is of types or of scenarios`, {
      hint: 'start two, or publish the type in a scenario of your own',
    })
  }
  const asked: PlacedScenario[] = []
  const library = new Map(brought.map((one) => [one.definition.scenario, one]))
  for (const word of words) {
    const found = prefix.test(word) ? await named(word.replace(prefix, ''), brought) : await inFile(word, cwd)
    for (const one of found) {
      if (!prefix.test(word)) library.set(one.definition.scenario, one)
      if (!asked.some(({ definition }) => definition.scenario === one.definition.scenario)) asked.push(one)
    }
  }
  return { asked, library: [...library.values()] }
}

async function named(name: string, brought: readonly PlacedScenario[]): Promise<readonly PlacedScenario[]> {
  const pattern = /[*{]/.test(name) ? compilePattern(name) : undefined
  const found = brought.filter(({ definition: { scenario } }) => pattern?.matches(scenario) ?? scenario === name)
  if (found.length > 0) return found
  const known = brought.map(({ definition }) => definition.scenario)
  const elsewhere = await serviceWith(name)
  throw new EvtError('usage', `cannot play scenario ${name}: no configured service has one of that name`, {
    hint:
      (elsewhere && `the service ${elsewhere} brings it: EVT_SERVICES=${elsewhere} evt gen scenario:${name}`) ??
      suggestion(name, known) ??
      (known.length > 0 ? `there are ${known.join(', ')}` : 'write one: evt gen ./my-scenario.yaml'),
  })
}

/** Among those that evt brings. */
async function serviceWith(name: string): Promise<string | undefined> {
  for (const [service, load] of Object.entries(services)) {
    const { scenarios = [] } = (await load()) as ServiceDefinition
    if (scenarios.some(({ scenario }) => scenario === name)) return service
  }
  return undefined
}

async function inFile(word: string, cwd: string): Promise<readonly PlacedScenario[]> {
  const path = isAbsolute(word) ? word : resolve(cwd, word)
  if (text.test(word)) return [parseScenario(await readText(path, word), word)]
  const exported = await imported(path, word)
  const found = Object.values(exported).flat().filter(isDefinition)
  if (found.length > 0) return [...new Set(found)].map((one) => checked(one, word))
  throw new EvtError('config', `cannot use ${word}: it exports no scenario`, {
    hint: "export default defineScenario({ scenario: 'signup', steps: [...] })",
  })
}

const isDefinition = (value: unknown): value is ScenarioDefinition =>
  typeof value === 'object' && value !== null && 'scenario' in value && 'steps' in value

async function readText(path: string, word: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw unreadable(word, cause)
  }
}

async function imported(path: string, word: string): Promise<Readonly<Record<string, unknown>>> {
  await readText(path, word)
  try {
    return (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>
  } catch (cause) {
    throw new EvtError('config', `cannot import ${word}: ${toError(cause).message}`, {
      hint: 'what it imports has to be there, and nothing in it may throw: try node on it',
      cause,
    })
  }
}

function unreadable(word: string, cause: unknown): EvtError {
  const { code = '' } = cause as NodeJS.ErrnoException
  const reasons: Readonly<Record<string, string>> = { ENOENT: 'there is no such file', EISDIR: 'it is a directory' }
  return new EvtError('usage', `cannot read scenario ${word}: ${reasons[code] ?? toError(cause).message}`, {
    hint: 'evt gen --list shows the scenarios that the services bring; docs/generating.md says how to write one',
    cause,
  })
}
