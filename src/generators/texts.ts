import type { Shape } from '../core/json-shape.ts'
import type { Moment } from './moment.ts'
import { compilePattern } from './pattern-text.ts'
import type { PoolName, Pools } from './pools.ts'
import { snakeCase } from './snake-case.ts'
import { companyName, countryCode, productName, wordingOf } from './vocabulary.ts'

type Text = (moment: Moment) => string
type Make = (pools: Pools) => Text

const day = 86_400_000

const pooled =
  (name: PoolName): Make =>
  (pools) => {
    const values = pools[name]
    return (moment) => values[moment.below(values.length)] as string
  }

/** Parts of a person follow from the salt, so that they agree with each other; of two salts nobody has the same username. */
const first: Make =
  ({ firstName }) =>
  ({ salt }) =>
    firstName[salt % firstName.length] as string
const last: Make =
  ({ firstName, lastName }) =>
  ({ salt }) =>
    lastName[Math.floor(salt / firstName.length) % lastName.length] as string
const numberOf = ({ salt }: Moment, { firstName, lastName }: Pools): number =>
  Math.floor(salt / (firstName.length * lastName.length))
const person: Make = (pools) => {
  const [one, two] = [first(pools), last(pools)]
  return (moment) => `${one(moment)} ${two(moment)}`
}
const username: Make = (pools) => {
  const [one, two] = [first, last].map((name) => lower(name(pools))) as [Text, Text]
  return (moment) => `${one(moment)}.${two(moment)}${numberOf(moment, pools)}`
}
const email: Make = (pools) => {
  const [user, domain] = [username(pools), pools.domain]
  return (moment) => `${user(moment)}@${domain[numberOf(moment, pools) % domain.length]}`
}
const lower =
  (text: Text): Text =>
  (moment) =>
    text(moment).toLowerCase()

const uuid: Make = () => (moment) => moment.uuid()
const now: Make = () => (moment) => moment.iso
const octet = (moment: Moment) => 1 + moment.below(254)
/** TEST-NET and benchmarking ranges would look alike; these are private addresses, so nobody's. */
const ipv4: Make = () => (moment) => `10.${octet(moment)}.${octet(moment)}.${octet(moment)}`
const ipv6: Make = () => (moment) => `2001:db8::${(1 + moment.below(65_534)).toString(16)}`
const url: Make = (pools) => {
  const word = pooled('word')(pools)
  return (moment) => `https://example.com/${word(moment)}/${moment.below(10_000)}`
}
const date: Make = () => (moment) => new Date(moment.timeMs - moment.below(365) * day).toISOString().slice(0, 10)
const minutes: Make = () => (moment) => `${5 * (1 + moment.below(24))}m`
const digits: Make = () => (moment) => String(10 * (1 + moment.below(60)))
const money: Make = () => (moment) => (1 + moment.below(50_000) / 100).toFixed(2)
const token: Make = () => (moment) => moment.uuid().replaceAll('-', '')

const byFormat: Readonly<Record<string, Make>> = {
  email,
  uuid,
  'date-time': now,
  date,
  time: () => (moment) => moment.iso.slice(11, 19),
  duration: () => (moment) => `PT${1 + moment.below(90)}M`,
  ipv4,
  ipv6,
  uri: url,
  url,
}

/** First match wins; names are compared in snake_case. */
const byName: readonly (readonly [RegExp, Make])[] = [
  [/e?mail/, email],
  [/^first_?name$|given_name/, first],
  [/^last_?name$|family_name|surname/, last],
  [/user_?name$|login|handle/, username],
  [/company|organi[sz]ation/, companyName],
  [/service|component/, pooled('service')],
  [/operation|action/, pooled('operation')],
  [/icon/, pooled('icon')],
  [/^(full_|display_|user_|customer_)?name$/, person],
  [/title|product|subject/, productName],
  [/user_?agent/, pooled('userAgent')],
  [/(^|_)ip(_|$)/, ipv4],
  [/ur[li]|link|website/, url],
  [/country/, countryCode],
  [/city|town/, pooled('city')],
  [/street|address/, pooled('street')],
  [/time_?zone/, pooled('timezone')],
  [/locale|language/, pooled('locale')],
  [/phone|mobile/, pooled('phone')],
  [/duration/, minutes],
  [/price|amount|total/, money],
  [/content|body|markdown|html/, pooled('content')],
  [/description|summary|message|comment|text|note/, pooled('sentence')],
  [/reason/, pooled('reason')],
  [/^(setting_)?key$/, pooled('settingKey')],
  [/^value$|^previous$/, digits],
  [/_at$|timestamp/, now],
  [/date$/, date],
  [/last_?four|last4/, () => (moment) => String(1_000 + moment.below(9_000))],
  [/^sku$/, () => (moment) => `SKU-${10_000 + moment.below(90_000)}`],
  [/token|hash|secret/, token],
  [/(^|_)id$/, uuid],
]

/** A drawer of strings that keep the contract's length and pattern. `type` is that of the events that say it. */
export function compileText(name: string, shape: Shape & { kind: 'string' }, pools: Pools, type = ''): Text {
  const snake = snakeCase(name)
  const named = () =>
    wordingOf(type, snake) ?? (byName.find(([pattern]) => pattern.test(snake))?.[1] ?? pooled('word'))(pools)
  const draw = bounded(byFormat[shape.format ?? '']?.(pools) ?? named(), shape)
  return shape.pattern === undefined ? draw : matching(draw, shape.pattern)
}

function bounded(draw: Text, { min, max }: { readonly min: number; readonly max: number }): Text {
  if (min === 0 && max === Infinity) return draw
  return (moment) => draw(moment).padEnd(min, 'x').slice(0, max)
}

/** The realistic text where it happens to match, else any that does. */
function matching(draw: Text, source: string): Text {
  const pattern = new RegExp(source, 'u')
  const any = compilePattern(source)
  if (!any) return draw
  return (moment) => {
    const text = draw(moment)
    return pattern.test(text) ? text : any(moment)
  }
}
