import { changeAt } from './change-at.ts'
import { versionsOf } from './contract-schemas.ts'
import { findUnmarked } from './detect.ts'
import { markedIn } from './inspector.ts'
import { formatJson, parseExactly } from './json-text.ts'
import { maskFields } from './mask.ts'
import type { PrivacyOptions } from './privacy-options.ts'
import { pseudonymOf } from './pseudonym.ts'
import type { Registry } from './registry.ts'
import { sealedBy, withoutSealed } from './sealing.ts'
import { maskPath, type SensitiveField, sensitiveFields } from './sensitive-fields.ts'

interface Typed {
  readonly type: string
  readonly version?: number | null | undefined
}

/** Hides what is personal or secret from everything that evt shows. */
export interface Masker {
  /** A copy of the data in which marked fields are `***` or pseudonyms, and encrypted ones `***`. */
  data(of: Typed, data: unknown): unknown
  /** The same for the JSON of the data; all of it is `***` where it is none and fields would have to be hidden. */
  text(of: Typed, dataText: string): string
}

export type MaskerOptions = Pick<PrivacyOptions, 'pseudonymKey' | 'detect'> & {
  readonly registry: Pick<Registry, 'get' | 'sensitivePaths'>
}

/**
 * By the contract of the event's version; of a version that is not known, by all that are. Nobody knows what is in an event without a
 * contract: there only what is encrypted is hidden, and with `detect: 'mask'` what looks personal.
 */
export function createMasker({ registry, pseudonymKey, detect }: MaskerOptions): Masker {
  const contractOf = ({ type, version }: Typed) => registry.get(type, version ?? undefined)
  const fieldsOf = (of: Typed): readonly SensitiveField[] => {
    const exact = contractOf(of)
    return exact ? sensitiveFields(exact) : versionsOf(registry, of.type).flatMap(sensitiveFields)
  }

  function masked(of: Typed, data: unknown): unknown {
    const fields = fieldsOf(of)
    let shown = data
    for (const { path, pseudonym } of fields) {
      if (!pseudonym || pseudonymKey === undefined || path.includes('*')) continue
      shown = changeAt(shown, path, (value) => (isPlain(value) ? pseudonymOf(value, pseudonymKey) : '***'))
    }
    const hidden = fields.flatMap(({ path, pseudonym }) =>
      pseudonym && pseudonymKey !== undefined && !path.includes('*') ? [] : [maskPath({ path })],
    )
    if (detect === 'mask') hidden.push(...findUnmarked(data, markedIn(contractOf(of))).map(({ path }) => path))
    const { data: result } = maskFields({ data: shown }, hidden) as { readonly data: unknown }
    return result
  }

  return {
    data(of, data) {
      if (typeof data === 'object' && data !== null) return unsealed(masked(of, data))
      if (fieldsOf(of).length > 0) return '***'
      return typeof data === 'string' ? withoutSealed(data) : data
    },
    text(of, dataText) {
      const readable = withoutSealed(dataText)
      if (detect !== 'mask' && fieldsOf(of).length === 0) return readable
      const data = parsed(readable)
      // Of what is no object nobody can say where in it the sensitive fields are.
      if (typeof data !== 'object') return fieldsOf(of).length > 0 ? '"***"' : readable
      return formatJson(masked(of, data))
    },
  }
}

function parsed(text: string): unknown {
  try {
    return parseExactly(text)
  } catch {
    return undefined
  }
}

const isPlain = (value: unknown) =>
  value !== '***' && sealedBy(value) === undefined && (typeof value === 'string' || typeof value === 'number')

/** What is sealed where no contract says so. */
function unsealed(data: unknown): unknown {
  const text = JSON.stringify(data) as string | undefined
  const shown = text === undefined ? undefined : withoutSealed(text)
  return shown === undefined || shown === text ? data : JSON.parse(shown)
}
