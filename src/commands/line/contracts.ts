import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type JsonSchema, type SchemaFile, schemaFile, schemaOf } from '../../core/contract-schemas.ts'
import { EvtError, toError } from '../../core/errors.ts'
import { suggestion } from '../../core/suggest.ts'
import type { Runtime } from '../runtime.ts'
import { loadRegistry } from './services.ts'

/** What `evt schema diff` compares: one version of a type, or all contracts of a file or of the configured services. */
export type Compared =
  | { readonly kind: 'version'; readonly name: string; readonly schema: JsonSchema }
  | { readonly kind: 'all'; readonly name: string; readonly file: SchemaFile }

/** `user.created@2`, `user.created@v2`, a file that `evt schema export` wrote, or `.` for the configured services. */
export async function readCompared(given: string, runtime: Pick<Runtime, 'config' | 'cwd'>): Promise<Compared> {
  if (given === '.')
    return { kind: 'all', name: 'the configured services', file: schemaFile(await loadRegistry(runtime)) }
  const version = /^(.+)@v?(\d+)$/.exec(given)
  if (!version) return { kind: 'all', name: given, file: await readSchemaFile(resolve(runtime.cwd, given)) }
  const [, type = '', number] = version
  const registry = await loadRegistry(runtime)
  const contract = registry.get(type, Number(number))
  if (contract) return { kind: 'version', name: given, schema: schemaOf(contract) }
  const latest = registry.get(type)?.version
  throw new EvtError('usage', `cannot compare ${given}: the configured services have no such contract`, {
    hint:
      latest === undefined
        ? (suggestion(type, registry.types()) ?? 'see evt schema list')
        : `${type} has versions 1 to ${latest}`,
  })
}

async function readSchemaFile(path: string): Promise<SchemaFile> {
  const hint = 'write one with: evt schema export > contracts.json'
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new EvtError('usage', `cannot read ${path}: ${toError(error).message}`, { hint })
  })
  const parsed = parseJson(text) as Partial<SchemaFile> | null | undefined
  if (parsed?.evt === 'contracts/1' && typeof parsed.types === 'object') return parsed as SchemaFile
  throw new EvtError('usage', `cannot read ${path}: it holds no contracts`, { hint })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
