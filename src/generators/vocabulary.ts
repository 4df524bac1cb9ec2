import type { Moment } from './moment.ts'
import type { Pools } from './pools.ts'

/** Words with how often each is said among them all. */
type Weighted = Readonly<Record<string, number>>

const countries: Weighted = {
  US: 24,
  DE: 14,
  GB: 12,
  FR: 9,
  NL: 6,
  ES: 5,
  IT: 5,
  PL: 4,
  CA: 4,
  SE: 3,
  CH: 3,
  AT: 3,
  BR: 2,
  IN: 2,
  AU: 2,
  IE: 1,
  BE: 1,
  DK: 1,
  PT: 1,
  JP: 1,
}
/** All with two decimals, as money is written. */
const currencies: Weighted = { EUR: 45, USD: 30, GBP: 12, CHF: 5, SEK: 4, PLN: 4 }
const roles: Weighted = { member: 50, editor: 22, viewer: 15, manager: 8, admin: 4, owner: 1 }
const permissions: Weighted = {
  'documents.read': 10,
  'documents.write': 6,
  'documents.share': 3,
  'orders.read': 5,
  'orders.write': 3,
  'products.write': 2,
  'reports.read': 3,
  'users.invite': 1,
  'billing.manage': 1,
}
const districts: Weighted = {
  'City centre': 10,
  'Old town': 6,
  Riverside: 6,
  'Station quarter': 5,
  Northfield: 4,
  'East end': 4,
  Harbour: 3,
  University: 3,
  Westgate: 2,
  'Green hill': 1,
}
const flags: Weighted = {
  new_checkout: 6,
  dark_mode: 5,
  faster_search: 4,
  bulk_export: 3,
  two_factor: 3,
  beta_editor: 2,
}
const tags: Weighted = { important: 5, draft: 4, urgent: 2, internal: 3, customer: 3, follow_up: 2 }
const departments: Weighted = { sales: 5, support: 5, engineering: 4, logistics: 3, finance: 2, marketing: 2, legal: 1 }

/** Texts of what an event says in its own words, by its type and field. */
const phrases: readonly (readonly [RegExp, Weighted])[] = [
  [
    /^(account|user)\..*(delet|remov).* reason$/,
    {
      'no longer needed': 6,
      'uses another account': 3,
      'asked for by e-mail': 2,
      'concerned about privacy': 2,
      'left the company': 2,
    },
  ],
  [
    /^payment\..* reason$/,
    {
      'card declined': 6,
      'insufficient funds': 4,
      'card expired': 2,
      'authentication failed': 2,
      'suspected fraud': 1,
    },
  ],
  [
    /^order\..* reason$/,
    {
      'changed my mind': 4,
      'ordered by mistake': 3,
      'delivery takes too long': 3,
      'found it cheaper': 2,
      'payment failed': 2,
    },
  ],
  [/^(inventory|stock)\..* reason$/, { 'not enough in stock': 5, 'not kept at this location': 2, 'no longer sold': 1 }],
  [
    /^tenant\..* reason$/,
    { 'invoice is overdue': 5, 'asked for by the owner': 2, 'trial is over': 2, 'terms of use were broken': 1 },
  ],
  [
    /^notification\..* reason$/,
    { 'recipient is unknown': 3, 'blocked by the recipient': 3, 'mailbox is full': 2, 'provider does not answer': 2 },
  ],
  [
    /^(request|assignment|shift)\..* reason$/,
    { 'no longer needed': 4, 'nobody was at home': 3, 'is ill': 2, 'has too much to do': 3, 'fixed by a neighbour': 1 },
  ],
  [
    /(^request|ticket|incident)\..* (description|details)$/,
    {
      'It has been like this since yesterday evening.': 4,
      'Please ring twice, the bell is quiet.': 2,
      'Somebody is at home after five.': 3,
      'It was repaired in spring and is broken again.': 2,
      'It gets worse every day.': 3,
      'The neighbours below have it too.': 1,
      'The caretaker has the key.': 2,
    },
  ],
  [
    /(^|[ _])report$/,
    {
      'Done, and tested with the tenant.': 4,
      'Replaced the worn part.': 4,
      'Cleaned and adjusted.': 3,
      'A second visit is needed for a spare part.': 1,
    },
  ],
  [
    /^system\.error message$|(^|_)error(_message)?$/,
    {
      'connect ECONNREFUSED 10.0.3.17:5432': 3,
      'request timed out after 5000 ms': 5,
      'too many connections for role "app"': 2,
      'unexpected token in the answer of the provider': 2,
      'no space left on device': 1,
      'certificate has expired': 1,
    },
  ],
  [
    /error_(type|name|class)$/,
    { TimeoutError: 5, ConnectionError: 4, ValidationError: 3, ParseError: 2, OutOfMemoryError: 1 },
  ],
  [
    /^document\..* title$/,
    {
      'Minutes of the weekly meeting': 4,
      'Ideas for the next release': 3,
      'Travel expenses': 3,
      'Onboarding checklist': 2,
      'Draft of the offer': 2,
      'Plan for the move': 2,
      'Release notes': 3,
      'Questions for support': 1,
      'Reading list': 2,
    },
  ],
  [/health_check name$/, { database: 4, cache: 3, queue: 3, disk: 2, mail: 1 }],
  [/ template$/, { welcome: 3, request_received: 4, request_assigned: 4, request_done: 3, reminder: 2 }],
]

/** First match wins; names are compared in snake_case. */
const byName: readonly (readonly [RegExp, Weighted])[] = [
  [/currency/, currencies],
  [/(^|_)roles?$/, roles],
  [/(^|_)(permission|scope)s?$/, permissions],
  [/(^|_)(district|area|region|zone)$/, districts],
  [/(^|_)(feature_)?flag$/, flags],
  [/(^|_)(tag|label)s?$/, tags],
  [/(^|_)(department|team)$/, departments],
]

/** How a text field is worded: by what is said there in the events of `type`, or by its name alone. Undefined where any word will do. */
export function wordingOf(type: string, name: string): ((moment: Moment) => string) | undefined {
  const place = `${type} ${name}`
  const found = phrases.find(([pattern]) => pattern.test(place)) ?? byName.find(([pattern]) => pattern.test(name))
  return found && weighted(found[1])
}

export function weighted(words: Weighted): (moment: Moment) => string {
  const known = Object.keys(words)
  let sum = 0
  const bounds = Object.values(words).map((weight) => (sum += weight))
  return (moment) => {
    const drawn = moment.random() * sum
    return known[bounds.findIndex((bound) => drawn < bound)] as string
  }
}

/** A few countries have most of the people; each of the others has some. */
export function countryCode({ country }: Pools): (moment: Moment) => string {
  const common = weighted(countries)
  return (moment) => (moment.random() < 0.9 ? common(moment) : (country[moment.below(country.length)] as string))
}

/** Of so many names that few are the same: put together from parts of those that are known. */
export function companyName({ company, lastName }: Pools): (moment: Moment) => string {
  const form = weighted({ Ltd: 4, GmbH: 4, Inc: 4, '& Sons': 2, Group: 2, Partners: 2 })
  const name = (moment: Moment) => lastName[moment.below(lastName.length)] as string
  return (moment) => {
    if (moment.random() < 0.1) return company[moment.below(company.length)] as string
    const [one, other] = [name(moment), name(moment)]
    return moment.random() < 0.5 && one !== other ? `${one} & ${other}` : `${one} ${form(moment)}`
  }
}

/** `Tasty Bronze Shoes`: any of the first words with any of the others. */
export function productName({ title }: Pools): (moment: Moment) => string {
  const columns = [0, 1, 2].map((at) => [...new Set(title.flatMap((words) => words.split(' ')[at] ?? []))])
  return (moment) => columns.map((words) => words[moment.below(words.length)]).join(' ')
}
