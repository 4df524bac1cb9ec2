import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { EvtError, toError } from '../core/errors.ts'
import { type Config, createConfig, type Layer } from './config.ts'
import type { Environment } from './interpolate.ts'
import { type ConfigKey, configKeys, variableOf } from './keys.ts'
import type { Sourced } from './sourced.ts'

export interface LoadOptions {
  readonly cwd: string
  readonly env: Environment
  /** What this command's flags said, as text, by key. */
  readonly flags: Readonly<Partial<Record<ConfigKey, { readonly text: string; readonly flag: string }>>>
  /** `--config FILE`, in place of the project's file. */
  readonly file?: string
}

const projectFiles = ['ts', 'mts', 'js', 'mjs', 'json', 'yaml', 'yml'].map((ending) => `evt.config.${ending}`)

/**
 * Flag > environment > project file (searched up to the git root) > user file > default. Reads files only; the reader
 * of files, with its parsers, is loaded only when there is one. Throws EvtError('config') with file and key.
 */
export async function loadConfig({ cwd, env, flags, file }: LoadOptions): Promise<Config> {
  const layers: Layer[] = [flagLayer(flags), environmentLayer(env)]
  const paths = [file ? explicitFile(cwd, file) : findProjectFile(cwd), userFile(env)]
  for (const path of paths) {
    if (!path) continue
    const { readConfigFile } = await import('./file.ts')
    layers.push(await readConfigFile(path))
  }
  return createConfig(layers, env)
}

function flagLayer(flags: LoadOptions['flags']): Layer {
  const values: Record<string, Sourced<unknown>> = {}
  for (const [key, given] of Object.entries(flags)) values[key] = sourced(key as ConfigKey, given.text, given.flag)
  return { kind: 'flags', values }
}

/** `EVT_STORE` and its like first, then the names that the seed systems document. An empty variable counts as unset. */
function environmentLayer(env: Environment): Layer {
  const values: Record<string, Sourced<unknown>> = {}
  for (const key of Object.keys(configKeys) as ConfigKey[]) {
    const { name, alias } = configKeys[key]
    const variable = [variableOf(name), ...(alias ? [alias].flat() : [])].find((candidate) => env[candidate])
    if (variable) values[key] = sourced(key, env[variable] as string, variable)
  }
  return { kind: 'environment', values }
}

function sourced(key: ConfigKey, text: string, origin: string): Sourced<unknown> {
  try {
    return { value: configKeys[key].parse(text), origin }
  } catch (error) {
    const hint = error instanceof EvtError ? error.hint : undefined
    throw new EvtError('usage', `cannot use ${origin} ${quoted(text)}: ${reasonOf(error)}`, {
      cause: error,
      ...(hint ? { hint } : {}),
    })
  }
}

/** A value as it was typed. */
export const quoted = (text: string) => (/^[\w./:@%+-]+$/.test(text) ? text : `'${text}'`)

/** The part of `cannot …: reason` after the colon. */
export const reasonOf = (error: unknown) => toError(error).message.replace(/^cannot [^:]*: /, '')

function explicitFile(cwd: string, file: string): string {
  const path = resolve(cwd, file)
  if (existsSync(path)) return path
  throw new EvtError('config', `cannot read ${path}: there is no such file`, {
    hint: 'check --config, or leave it out',
  })
}

/** The nearest evt.config.* from `cwd` up to the root of the git checkout; outside a checkout only `cwd` itself. */
export function findProjectFile(cwd: string): string | undefined {
  for (const directory of upToGitRoot(cwd)) {
    const found = projectFiles.map((name) => join(directory, name)).find((path) => existsSync(path))
    if (found) return found
  }
  return undefined
}

function upToGitRoot(cwd: string): readonly string[] {
  const path: string[] = []
  for (let directory = cwd; ; directory = dirname(directory)) {
    path.push(directory)
    if (existsSync(join(directory, '.git'))) return path
    if (dirname(directory) === directory) return [cwd]
  }
}

function userFile(env: Environment): string | undefined {
  const home = env.XDG_CONFIG_HOME || (env.HOME ? join(env.HOME, '.config') : undefined)
  const path = home ? join(home, 'evt', 'config.yaml') : undefined
  return path && existsSync(path) ? path : undefined
}
