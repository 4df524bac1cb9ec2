/** What a field that nobody marked looks like. */
export type Suspicion = 'an e-mail address' | 'a phone number' | 'a card number' | 'an IBAN' | 'a secret'

export interface Finding {
  /** `data.user.email`; elements of arrays without their index. */
  readonly path: string
  readonly looksLike: Suspicion
}

const names: readonly (readonly [Suspicion, RegExp])[] = [
  ['an e-mail address', /(^|_)e?_?mail(_address)?$/],
  ['a phone number', /(^|_)(phone|mobile|telephone|msisdn)(_number|_no)?$/],
  ['a card number', /(^|_)(card|pan)(_number|_no)$|^pan$/],
  ['an IBAN', /(^|_)iban$/],
  [
    'a secret',
    /(^|_)(password|passwd|passphrase|secret|api_key|private_key|(access|refresh|auth|bearer|session)_token)$/,
  ],
]

/** By the name of a field alone: `userEmail`, `api_key`. */
export function suspicionOfName(name: string): Suspicion | undefined {
  const snake = name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toLowerCase()
  return names.find(([, form]) => form.test(snake))?.[0]
}

const secrets =
  /^(?:Bearer\s+)?(?:eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|(?:sk|pk|rk)_(?:live|test)_\w{10,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|xox[abprs]-[\w-]{10,}|A(?:KIA|SIA)[A-Z0-9]{16}|AIza[\w-]{30,}|glpat-[\w-]{16,}|npm_\w{30,}|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*)$/
const longest = 4_096

/** By its form: a check digit where the form has one, so that ids and amounts are none. */
export function suspicionOfValue(value: unknown): Suspicion | undefined {
  if (typeof value !== 'string' || value.length < 7 || value.length > longest) return undefined
  if (value.includes('@')) return /^[^\s@<>]+@[^\s@<>]+\.[a-z]{2,}$/i.test(value) ? 'an e-mail address' : undefined
  const digits = value.replace(/[ -]/g, '')
  if (/^[3-6]\d{12,18}$/.test(digits)) return isLuhn(digits) ? 'a card number' : undefined
  if (/^(?:\+|00|\()[\d ()./-]{7,22}$/.test(value)) {
    const count = value.replace(/\D/g, '').length
    return count >= 8 && count <= 16 ? 'a phone number' : undefined
  }
  if (/^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/.test(digits)) return isIban(digits) ? 'an IBAN' : undefined
  return secrets.test(value) ? 'a secret' : undefined
}

/** ISO/IEC 7812-1, annex B. */
function isLuhn(digits: string): boolean {
  let sum = 0
  for (let at = digits.length - 1, double = false; at >= 0; at -= 1, double = !double) {
    const digit = Number(digits[at]) * (double ? 2 : 1)
    sum += digit > 9 ? digit - 9 : digit
  }
  return sum % 10 === 0
}

/** ISO 13616: the first four characters go behind, letters count from 10, and the number is 1 modulo 97. */
function isIban(text: string): boolean {
  let rest = 0
  for (const char of text.slice(4) + text.slice(0, 4))
    for (const digit of String(Number.parseInt(char, 36))) rest = (rest * 10 + Number(digit)) % 97
  return rest === 1
}

/** Of one event: what is beyond is not looked at. */
const mostValues = 1_000

/** Fields of the data whose names or values are suspicious and that are not in `marked`, nor below one that is. */
export function findUnmarked(data: unknown, marked: ReadonlySet<string>): readonly Finding[] {
  const found = new Map<string, Finding>()
  const queue: [unknown, string, string][] = [[data, 'data', '']]
  for (let at = 0; at < queue.length && at < mostValues; at += 1) {
    const [value, path, name] = queue[at] as (typeof queue)[number]
    if (marked.has(path) || value === null || value === undefined) continue
    if (Array.isArray(value)) for (const item of value.slice(0, mostValues)) queue.push([item, path, name])
    else if (typeof value === 'object')
      for (const key in value) queue.push([(value as Record<string, unknown>)[key], `${path}.${key}`, key])
    else {
      const looksLike =
        suspicionOfValue(value) ?? (typeof value === 'string' && value !== '' ? suspicionOfName(name) : undefined)
      if (looksLike) found.set(path, { path, looksLike })
    }
  }
  return [...found.values()]
}
