// Draws the word pools of the generators from faker, once, with a fixed seed: `node scripts/draw-pools.ts`. Loading
// faker costs over a second and 100 MB, so it is never loaded where events are made.
import { writeFileSync } from 'node:fs'
import { faker } from '@faker-js/faker'

const seed = 20_251_121
faker.seed(seed)
faker.setDefaultRefDate('2025-01-01T00:00:00.000Z')

/** Distinct values that are safe in an address and in a terminal. */
function draw(count: number, make: () => string, fits: RegExp = /^[\x20-\x7e]+$/): string[] {
  const values = new Set<string>()
  for (let tries = 0; values.size < count && tries < count * 50; tries++) {
    const value = make()
    if (fits.test(value)) values.add(value)
  }
  return [...values]
}

const icons = draw(48, () => faker.word.noun(), /^[a-z]{3,9}$/)

const markup = (): string => {
  const icon = faker.helpers.arrayElement(icons)
  return faker.datatype.boolean() ? `:${icon}:` : `<icon name="${icon}">`
}

const paragraph = (): string => Array.from({ length: 3 }, () => `${markup()} ${faker.company.catchPhrase()}.`).join(' ')

const pools = {
  firstName: draw(160, () => faker.person.firstName(), /^[A-Z][a-z]+$/),
  lastName: draw(160, () => faker.person.lastName(), /^[A-Z][a-z]+$/),
  domain: ['example.com', 'example.org', 'example.net', 'mail.example.com', 'team.example.org'],
  company: draw(80, () => faker.company.name()),
  country: draw(60, () => faker.location.countryCode('alpha-2'), /^[A-Z]{2}$/),
  city: draw(80, () => faker.location.city()),
  street: draw(60, () => faker.location.streetAddress()),
  timezone: draw(30, () => faker.location.timeZone()),
  locale: ['en', 'de', 'fr', 'es', 'pt', 'it', 'nl', 'pl', 'ja', 'sv'],
  phone: draw(60, () => faker.phone.number({ style: 'international' })),
  userAgent: draw(24, () => faker.internet.userAgent()),
  title: draw(120, () => faker.commerce.productName()),
  sentence: draw(80, () => `${faker.company.catchPhrase()}.`),
  content: draw(64, paragraph),
  word: draw(160, () => faker.word.noun(), /^[a-z]{3,12}$/),
  icon: icons,
  service: ['icon-service', 'main-backend', 'auth-service', 'search-service', 'export-service'],
  operation: ['render', 'search', 'resolve', 'export', 'recommend', 'load-preferences'],
  reason: ['requested', 'expired', 'deploy', 'configuration', 'clean-up', 'support'],
  settingKey: ['icons.cache_ttl', 'icons.page_size', 'icons.max_upload', 'search.limit', 'export.timeout'],
}

writeFileSync(new URL('../fixtures/pools.json', import.meta.url), `${JSON.stringify({ seed, pools }, null, 1)}\n`)
