import { createRandom } from '../core/random.ts'

/** What every value is drawn from: one seeded stream of numbers and a virtual clock that the generator moves. */
export interface Moment {
  /** Virtual time, ms since the epoch, and the same as RFC 3339 in UTC. */
  readonly timeMs: number
  readonly iso: string
  /** 32 bits that the fields of one thing share, so that a name and its address belong together. */
  readonly salt: number
  random(): number
  /** An integer in [0, below). */
  below(below: number): number
  /** A UUIDv7 of the virtual time: the same seed and times give the same ids. */
  uuid(): string
  moveTo(timeMs: number): void
  /** One that was never drawn before. */
  newSalt(): void
  /** Goes on about a thing of before. */
  setSalt(salt: number): void
}

/** Hexadecimal digits ready-made: `0000` … `ffff`, `000` … `fff`, and the variant `-8000-` … `-bfff-` of a UUID. */
const four = Array.from({ length: 65_536 }, (_, value) => value.toString(16).padStart(4, '0'))
const three = Array.from({ length: 4_096 }, (_, value) => value.toString(16).padStart(3, '0'))
const variant = Array.from({ length: 16_384 }, (_, value) => `-${(0x8000 | value).toString(16)}-`)

const millis = Array.from({ length: 1_000 }, (_, value) => `${String(value).padStart(3, '0')}Z`)

export function createMoment(seed: number, startMs: number): Moment {
  const random = createRandom(seed)
  const isoOf = createIso()
  const below = (limit: number) => Math.floor(random() * limit)
  let salt = 0
  let things = below(4_294_967_296)
  const moment = {
    timeMs: Number.NaN,
    iso: '',
    head: '',
    get salt() {
      return salt
    },
    random,
    below,
    uuid() {
      const high = random() * 4_294_967_296
      const tail = random() * 4_294_967_296
      const end = random() * 65_536
      const start = moment.head + three[high & 0xfff] + variant[(high >>> 12) & 0x3fff]
      return start + four[tail & 0xffff] + four[tail >>> 16] + four[end & 0xffff]
    },
    moveTo(timeMs: number) {
      const ms = Math.floor(timeMs)
      if (ms === moment.timeMs) return
      moment.timeMs = ms
      moment.iso = isoOf(ms)
      moment.head = uuidHead(ms)
    },
    newSalt() {
      salt = mix(++things)
    },
    setSalt(known: number) {
      salt = known
    },
  }
  moment.moveTo(startMs)
  return moment
}

/** Murmur3's last step: of different numbers different ones, that look drawn. */
function mix(number: number): number {
  let mixed = number | 0
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

/** The first 48 bits of a UUIDv7 are the time; then comes the version. Times before 1970 have none: they count as its start. */
function uuidHead(time: number): string {
  const ms = Math.min(Math.max(time, 0), 2 ** 48 - 1)
  const [high, low] = [Math.floor(ms / 4_294_967_296), ms % 4_294_967_296]
  return `${four[high]}${four[low >>> 16]}-${four[low & 0xffff]}-7`
}

/** Formats whole seconds only when they change. */
function createIso(): (ms: number) => string {
  let [known, prefix] = [Number.NaN, '']
  return (ms) => {
    const second = Math.floor(ms / 1_000)
    if (second !== known) {
      known = second
      prefix = new Date(second * 1_000).toISOString().slice(0, -4)
    }
    return prefix + millis[ms - second * 1_000]
  }
}
