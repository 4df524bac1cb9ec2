import { createHmac } from 'node:crypto'

/**
 * The same for the same value and key, and nothing that leads back without the key (HMAC-SHA-256). It keeps the form: an e-mail address
 * stays one (of a domain that cannot exist, the same for the same domain), a UUID a UUID, digits as many digits, a number a number of
 * as many digits. Other texts become `~` and 12 characters; what is no text or number is `***`.
 */
export function pseudonymOf(value: unknown, key: string): unknown {
  if (typeof value === 'number' && Number.isFinite(value)) {
    const digits = String(Math.trunc(Math.abs(value)))
    return Number(digitsOf(digits, key).slice(0, 15)) * Math.sign(value || 1)
  }
  if (typeof value !== 'string') return '***'
  const text = value.normalize('NFC')
  const at = text.lastIndexOf('@')
  if (at > 0 && /^[^\s@]+@[^\s@]+$/.test(text)) {
    const address = text.toLowerCase()
    return `${hex(address, key).slice(0, 12)}@${hex(address.slice(at + 1), key).slice(0, 8)}.invalid`
  }
  if (uuid.test(text)) return uuidOf(hex(text.toLowerCase(), key))
  if (/^\d{1,40}$/.test(text)) return digitsOf(text, key)
  return `~${createHmac('sha256', key).update(text).digest('base64url').slice(0, 12)}`
}

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i
const hex = (text: string, key: string) => createHmac('sha256', key).update(text).digest('hex')

/** Of version 8: made by a rule of one's own. */
const uuidOf = (digest: string) =>
  [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `8${digest.slice(13, 16)}`,
    `8${digest.slice(17, 20)}`,
    digest.slice(20, 32),
  ].join('-')

/** Never a leading zero: it stays as long as a number. */
function digitsOf(text: string, key: string): string {
  const digest = BigInt(`0x${hex(text, key)}`).toString()
  const digits = digest.repeat(1 + Math.ceil(text.length / digest.length)).slice(3, 3 + text.length)
  return digits.replace(/^0/, '7')
}
