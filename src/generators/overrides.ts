import type { Contract } from '../core/contract.ts'
import { EvtError } from '../core/errors.ts'
import { type EvtEvent, priorities } from '../core/event.ts'
import { fieldPaths, type Shape, shapeOf } from '../core/json-shape.ts'
import { suggestion } from '../core/suggest.ts'
import { withPath } from './paths.ts'

/** `--set path=text`: the text becomes what the contract says that the field is. */
export interface Assignment {
  /** `data.user_data.plan`, or a field of the envelope: `tenant`, `metadata.campaign`. */
  readonly path: string
  readonly text: string
  /** `--set-string`: the text stays text, whatever the contract says. */
  readonly asString?: boolean
}

export type Override = (event: EvtEvent) => EvtEvent

const envelopeFields = ['source', 'subject', 'tenant', 'correlationId', 'causationId', 'priority']

/** Splits `path=text` at the first `=`. Throws EvtError('usage'). */
export function parseAssignment(argument: string, asString = false): Assignment {
  const at = argument.indexOf('=')
  const path = argument.slice(0, at).trim()
  if (at < 0 || path === '') {
    throw new EvtError('usage', `cannot set ${argument}: it has no '='`, { hint: '--set data.user_data.plan=pro' })
  }
  return { path, text: argument.slice(at + 1), asString }
}

/**
 * What to do to each event of `contract`. Throws EvtError('usage') when the contract has no such field, naming those
 * that it has, or when the text is no value of the field.
 */
export function compileOverrides(contract: Contract, set: readonly Assignment[]): Override {
  const steps = set.map((one) => compileOne(contract, one))
  if (steps.length === 0) return (event) => event
  return (event) => steps.reduce((changed, step) => step(changed), event)
}

function compileOne(contract: Contract, { path, text, asString }: Assignment): Override {
  const [root = '', ...rest] = path.split('.')
  if (root === 'metadata' && rest.length > 0) {
    return (event) => ({ ...event, metadata: { ...event.metadata, [rest.join('.')]: text } })
  }
  if (rest.length === 0 && envelopeFields.includes(root)) {
    if (root === 'priority') expectOneOf(priorities, path, text)
    return (event) => ({ ...event, [root]: text })
  }
  const shape = shapeAt(contract, path)
  const value = asString ? text : parseAs(shape, path, text)
  return (event) => ({ ...event, data: withPath(event.data, rest, value) })
}

/** Below `any` and records every path exists. */
function shapeAt(contract: Contract, path: string): Shape {
  const fields = fieldPaths(shapeOf(contract.schema), 'data')
  const found = fields.find((one) => one.path === path)
  if (found) return found.field.shape
  const open = fields.find((one) => path.startsWith(`${one.path}.`) && isOpen(one.field.shape))
  if (open) return open.field.shape.kind === 'record' ? open.field.shape.value : { kind: 'any' }
  const paths = fields.map((one) => one.path)
  const near = suggestion(path, [...paths, ...envelopeFields])
  const title = `cannot set ${path}: ${contract.type} v${contract.version} has no such field`
  throw new EvtError('usage', near ? `${title}; ${near}` : title, { hint: `its fields: ${paths.join(', ')}` })
}

const isOpen = (shape: Shape): boolean => shape.kind === 'record' || shape.kind === 'any'

function parseAs(shape: Shape, path: string, text: string): unknown {
  switch (shape.kind) {
    case 'string':
      return text
    case 'number': {
      const number = Number(text)
      if (text.trim() === '' || !Number.isFinite(number)) throw noValue(path, text, 'a number')
      if (shape.integer && !Number.isInteger(number)) throw noValue(path, text, 'a whole number')
      return number
    }
    case 'boolean':
      expectOneOf(['true', 'false'], path, text)
      return text === 'true'
    case 'choice':
      expectOneOf(shape.values.map(String), path, text)
      return shape.values.find((value) => String(value) === text)
    case 'null':
      expectOneOf(['null'], path, text)
      return null
    case 'union':
      return parseUnion(shape.of, path, text)
    default:
      return parseJson(path, text)
  }
}

/** Text fits nearly everything, so it comes last. */
function parseUnion(of: readonly Shape[], path: string, text: string): unknown {
  const inOrder = [...of].sort((a, b) => Number(a.kind === 'string') - Number(b.kind === 'string'))
  for (const shape of inOrder) {
    try {
      return parseAs(shape, path, text)
    } catch (error) {
      if (!(error instanceof EvtError)) throw error
    }
  }
  throw noValue(path, text, `one of ${of.map(({ kind }) => kind).join(', ')}`)
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw noValue(path, text, 'JSON')
  }
}

function expectOneOf(values: readonly string[], path: string, text: string): void {
  if (!values.includes(text))
    throw noValue(path, text, values.length === 1 ? `${values[0]}` : `one of ${values.join(', ')}`)
}

const noValue = (path: string, text: string, expected: string): EvtError =>
  new EvtError('usage', `cannot set ${path} to ${JSON.stringify(text)}: expected ${expected}`, {
    hint: `--set-string ${path}=… keeps any text as it is`,
  })
