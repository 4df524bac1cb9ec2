import type { Contract } from './contract.ts'
import { type Finding, findUnmarked, suspicionOfName } from './detect.ts'
import { EvtError } from './errors.ts'
import type { EvtEvent } from './event.ts'
import { fieldPaths, shapeOf } from './json-shape.ts'
import type { Detection } from './privacy-options.ts'
import { maskPath, sensitiveFields } from './sensitive-fields.ts'

/** Each type is looked at so often from the start, and then once in so many events. */
const firstOfType = 3
const oneIn = 64
const mostKnown = 10_000

export interface InspectorOptions {
  readonly detect: Detection
  /** A field that nobody marked, told once. */
  readonly report: (type: string, finding: Finding) => void
}

/**
 * Looks at what is published for fields that nobody marked. `warn` looks at a sample and never throws; `refuse` looks at every event and
 * throws EvtError('contract') naming the field, never its value. Undefined for `off` and `mask`, which need no look here.
 */
export function createInspector({ detect, report }: InspectorOptions) {
  if (detect === 'off' || detect === 'mask') return undefined
  const seen = new Map<string, number>()
  const told = new Set<string>()

  function tell({ type }: EvtEvent, finding: Finding): void {
    const key = `${type} ${finding.path}`
    if (told.has(key) || told.size > mostKnown) return
    told.add(key)
    report(type, finding)
  }

  return (event: EvtEvent, contract: Contract | undefined): void => {
    if (detect === 'warn' && !isSampled(seen, event.type)) return
    const [first, ...rest] = findUnmarked(event.data, markedIn(contract))
    if (!first) return
    if (detect === 'refuse') throw refusal(event.type, first)
    for (const finding of [first, ...rest]) tell(event, finding)
  }
}

function isSampled(seen: Map<string, number>, type: string): boolean {
  const count = seen.get(type) ?? 0
  if (count === 0 && seen.size >= mostKnown) seen.clear()
  seen.set(type, count + 1)
  return count < firstOfType || count % oneIn === 0
}

const sets = new WeakMap<Contract, ReadonlySet<string>>()
const none: ReadonlySet<string> = new Set()

export function markedIn(contract: Contract | undefined): ReadonlySet<string> {
  if (!contract) return none
  const known = sets.get(contract) ?? new Set(sensitiveFields(contract).map(maskPath))
  sets.set(contract, known)
  return known
}

const refusal = (type: string, { path, looksLike }: Finding) =>
  new EvtError(
    'contract',
    `cannot publish ${type}: ${path} looks like ${looksLike}, and its contract does not call it sensitive`,
    {
      hint: 'mark it in the contract: sensitive(…); or set privacy.detect to warn',
    },
  )

/** Text fields of a contract whose names are suspicious and that nobody marked. */
export function unmarkedNames(contract: Contract): readonly Finding[] {
  const marked = markedIn(contract)
  return fieldPaths(shapeOf(contract.schema), 'data').flatMap(({ path, field }) => {
    const looksLike = field.shape.kind === 'string' ? suspicionOfName(field.name) : undefined
    return looksLike && ![...marked].some((one) => path === one || path.startsWith(`${one}.`))
      ? [{ path, looksLike }]
      : []
  })
}
