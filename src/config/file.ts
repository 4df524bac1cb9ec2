import { readFile } from 'node:fs/promises'
import { basename, dirname, extname } from 'node:path'
import { EvtError, toError } from '../core/errors.ts'
import type { Layer } from './config.ts'
import { type ConfigKey, configKeys } from './keys.ts'
import { checkConfigFile } from './schema.ts'
import type { Sourced } from './sourced.ts'

/** Reads and validates one file. Values stay as written: `${VARIABLES}` are filled in when a key is used. */
export async function readConfigFile(path: string): Promise<Layer> {
  const content = checkConfigFile(await parsed(path), path)
  const values: Record<string, Sourced<unknown>> = {}
  for (const key of Object.keys(configKeys) as ConfigKey[]) {
    const given = content[configKeys[key].name as keyof typeof content]
    if (given !== undefined) values[key] = { value: settled(key, given, path), origin: path }
  }
  return { kind: 'file', file: path, values, ...(content.profiles ? { profiles: content.profiles } : {}) }
}

async function parsed(path: string): Promise<unknown> {
  try {
    return isText(path) ? await parsedText(path) : await evaluated(path)
  } catch (error) {
    if (error instanceof EvtError) throw error
    const isCode = !isText(path)
    // The reader of modules counts other lines than the file has.
    const reason = isCode ? (toError(error).message.split('\n')[0] ?? '').trim() : toError(error).message
    const thrower = isCode ? throwerOf(error, path) : path
    const where = thrower === path ? '' : `${thrower}, which it imports, throws: `
    throw new EvtError('config', `cannot read ${path}: ${where}${reason}`, {
      cause: error,
      ...(isCode ? { hint: `mend the file; \`node ${thrower}\` says in which line` } : {}),
    })
  }
}

/** The innermost file of the project in the stack of an error: what a config imports may be at fault, as a module of contracts. */
function throwerOf(error: unknown, path: string): string {
  const frames = (toError(error).stack ?? '').split('\n').flatMap((line) => /^ +at .*$/.exec(line) ?? [])
  const files = frames.flatMap((line) => /(?:file:\/\/|\(| )(\/[^()]+\.[cm]?[jt]s):\d+:\d+\)?$/.exec(line)?.[1] ?? [])
  const end = files.indexOf(path)
  return files.slice(0, end + 1).find((file) => !file.includes('/node_modules/')) ?? path
}

const isText = (path: string): boolean => /\.(ya?ml|json)$/.test(extname(path))

async function parsedText(path: string): Promise<unknown> {
  const { parse } = await import('yaml')
  return parse(await readFile(path, 'utf8')) ?? {}
}

async function evaluated(path: string): Promise<unknown> {
  // Its named exports would be taken for settings.
  if (!/\bdefault\b|\bexports\b/.test(await readFile(path, 'utf8')))
    throw new EvtError('config', `cannot use ${path}: it has no default export`, {
      hint: 'write `export default defineConfig({ … })`',
    })
  const { loadConfig } = await import('c12')
  const file = basename(path)
  const quiet = { rcFile: false, globalRc: false, dotenv: false, packageJson: false, giget: false } as const
  const { config } = await loadConfig({
    ...quiet,
    cwd: dirname(path),
    configFile: file.slice(0, -extname(file).length),
  })
  return config
}

/** Durations and counts are written as text or numbers; both go through the one parser of the key. */
function settled(key: ConfigKey, given: unknown, path: string): unknown {
  if (typeof given === 'object' || typeof given === 'boolean') return given
  if (typeof given === 'string' && given.includes('${')) return given
  try {
    return configKeys[key].parse(String(given))
  } catch (error) {
    throw new EvtError('config', `cannot use ${path}: ${configKeys[key].name}: ${toError(error).message}`, {
      cause: error,
    })
  }
}
