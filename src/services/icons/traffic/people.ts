import type { Chance } from './chance.ts'

export interface Person {
  readonly id: string
  readonly email: string
  readonly name: string
  readonly plan: string
  readonly country: string
  /** From where this person works. */
  readonly ip: string
  session?: string
}

export interface Document {
  readonly id: string
  readonly owner: Person
  readonly title: string
  readonly content: string
}

/** The application's memory of whom and what there is, as far as it was committed. */
export interface People {
  /** With `poisoned`, an address that is valid and that one of the services cannot take. */
  register(poisoned: boolean): Person
  add(person: Person): void
  any(): Person | undefined
  suspend(person: Person): void
  anySuspended(): Person | undefined
  remove(person: Person): void
  login(person: Person, session: string | undefined): void
  name(): string
  write(poisoned: boolean): Document | undefined
  keepDocument(document: Document): void
  anyDocument(): Document | undefined
  /** With `poisoned`, icon markup that is never closed. */
  content(poisoned: boolean): string
}

const first = [
  'Ada',
  'Alan',
  'Barbara',
  'Edsger',
  'Frances',
  'Grace',
  'Hedy',
  'Ken',
  'Leslie',
  'Margaret',
  'Radia',
  'Tim',
]
const last = ['Allen', 'Hamilton', 'Hopper', 'Kernighan', 'Lamport', 'Liskov', 'Lovelace', 'Perlman', 'Turing', 'Wirth']
const icons = ['home', 'star', 'arrow-left', 'bell', 'cloud', 'folder', 'heart', 'lock', 'map', 'search', 'user', 'zap']
const subjects = ['Architecture', 'Onboarding', 'Release', 'Incident', 'Roadmap', 'Budget', 'Security', 'Design']
const sentences = [
  'The first draft.',
  'To be reviewed.',
  'See the diagram.',
  'Ask the team.',
  'As agreed.',
  'Not final.',
]

/** So many are remembered; older ones live on in the tables, untouched. */
const most = 2_000

export function createPeople(chance: Chance): People {
  const active: Person[] = []
  const suspended: Person[] = []
  const documents: Document[] = []
  /** Some are chosen far more often than others. */
  const choose = <T>(list: readonly T[]): T | undefined => list[Math.floor(list.length * chance.next() ** 2)]
  const content = (poisoned: boolean): string => {
    const parts = Array.from({ length: 2 + chance.below(3) }, () => {
      const icon = choose(icons) as string
      return `${chance.next() < 0.5 ? `:${icon}:` : `<icon name="${icon}">`} ${chance.pick(sentences)}`
    })
    return poisoned ? `${parts.join(' ')} <icon name="` : parts.join(' ')
  }
  const name = () => `${chance.pick(first)} ${chance.pick(last)}`
  return {
    content,
    name,
    register(poisoned) {
      const called = name()
      const address = `${called.toLowerCase().replace(' ', '.')}${chance.below(100_000)}${poisoned ? '+icons' : ''}@example.com`
      const plan = chance.pick(['free', 'free', 'free', 'pro', 'team'])
      return {
        id: chance.uuid(),
        email: address,
        name: called,
        plan,
        country: chance.pick(['DE', 'FR', 'GB', 'PL', 'SE', 'US']),
        ip: chance.ip(),
      }
    },
    add: (person) => keep(active, person),
    any: () => choose(active),
    anySuspended: () => choose(suspended),
    suspend(person) {
      drop(active, person)
      keep(suspended, person)
      dropDocuments(documents, person)
    },
    remove(person) {
      drop(active, person)
      drop(suspended, person)
      dropDocuments(documents, person)
    },
    login(person, session) {
      if (session === undefined) delete person.session
      else person.session = session
    },
    write(poisoned) {
      const owner = choose(active)
      return owner && { id: chance.uuid(), owner, title: chance.pick(subjects), content: content(poisoned) }
    },
    keepDocument: (document) => keep(documents, document),
    anyDocument: () => choose(documents),
  }
}

function keep<T>(list: T[], one: T): void {
  list.push(one)
  if (list.length > most) list.splice(most / 2, 1)
}

function drop<T>(list: T[], one: T): void {
  const at = list.indexOf(one)
  if (at >= 0) list.splice(at, 1)
}

function dropDocuments(documents: Document[], owner: Person): void {
  for (let at = documents.length - 1; at >= 0; at--) if (documents[at]?.owner === owner) documents.splice(at, 1)
}
