/**
 * What commerce keeps. Stock alone is written by events of several subjects (a product's, an order's): by one handler, one
 * event after the other, and every change of it has a row, so that an event counts once. Safe to run twice.
 */
export const commerceSchema = `
create schema if not exists commerce;

create table if not exists commerce.products (
  product_id          uuid primary key,
  tenant_id           uuid not null,
  sku                 text,
  title               text,
  price               numeric(12, 2),
  currency            text,
  low_stock_threshold integer not null default 0,
  is_discontinued     boolean not null default false,
  event_time          timestamptz not null
);

create table if not exists commerce.locations (
  location_id uuid primary key,
  tenant_id   uuid not null,
  name        text not null,
  is_open     boolean not null,
  event_time  timestamptz not null
);

create table if not exists commerce.stock (
  product_id  uuid not null,
  location_id uuid not null,
  quantity    integer not null default 0 check (quantity >= 0),
  is_low      boolean not null default false,
  primary key (product_id, location_id)
);

create table if not exists commerce.stock_changes (
  event_id    text not null,
  product_id  uuid not null,
  location_id uuid not null,
  delta       integer not null,
  cause       text not null,
  changed_at  timestamptz not null,
  primary key (event_id, product_id, location_id)
);

create table if not exists commerce.reservations (
  order_id    uuid primary key,
  location_id uuid,
  items       jsonb not null default '[]',
  status      text not null,
  event_time  timestamptz not null
);

create table if not exists commerce.orders (
  order_id    uuid primary key,
  tenant_id   uuid not null,
  customer_id uuid,
  location_id uuid,
  total       numeric(12, 2),
  currency    text,
  status      text not null,
  created_at  timestamptz,
  event_time  timestamptz not null
);

-- A row an event: how long an order stood where.
create table if not exists commerce.order_steps (
  event_id text primary key,
  order_id uuid not null,
  status   text not null,
  at       timestamptz not null
);
create index if not exists steps_of_orders on commerce.order_steps (order_id);

create table if not exists commerce.payments (
  payment_id uuid primary key,
  order_id   uuid not null,
  tenant_id  uuid not null,
  amount     numeric(12, 2) not null,
  currency   text not null,
  status     text not null,
  reason     text,
  event_time timestamptz not null
);
create index if not exists payments_of_orders on commerce.payments (order_id);

create table if not exists commerce.sales (
  event_id  text primary key,
  order_id  uuid not null,
  tenant_id uuid not null,
  kind      text not null,
  amount    numeric(12, 2) not null,
  currency  text not null,
  at        timestamptz not null
);

create table if not exists commerce.sold_items (
  event_id   text not null,
  product_id uuid not null,
  tenant_id  uuid not null,
  quantity   integer not null,
  revenue    numeric(14, 2) not null,
  currency   text not null,
  primary key (event_id, product_id)
);

create or replace view commerce.order_overview as
  select o.order_id, o.tenant_id, o.customer_id, o.total, o.currency, o.status, o.created_at, coalesce(p.captured, 0) as captured, coalesce(p.refunded, 0) as refunded, p.payment_status
  from commerce.orders o left join (
    select order_id, sum(amount) filter (where status in ('captured', 'refunded')) as captured,
      sum(amount) filter (where status = 'refunded') as refunded,
      (array_agg(status order by event_time desc))[1] as payment_status
    from commerce.payments group by order_id
  ) p using (order_id);

create or replace view commerce.order_metrics as
  select tenant_id, count(*) as orders, count(*) filter (where status = 'delivered') as delivered,
    count(*) filter (where status = 'cancelled') as cancelled,
    avg(extract(epoch from s.delivered_at - o.created_at)) as mean_seconds_to_delivery
  from commerce.orders o left join (
    select order_id, min(at) as delivered_at from commerce.order_steps where status = 'delivered' group by order_id
  ) s using (order_id)
  group by tenant_id;

create or replace view commerce.daily_sales as
  select tenant_id, (at at time zone 'UTC')::date as day, currency, count(*) filter (where kind = 'sale') as sales,
    coalesce(sum(amount) filter (where kind = 'sale'), 0) as revenue,
    coalesce(sum(amount) filter (where kind = 'refund'), 0) as refunded
  from commerce.sales group by 1, 2, 3;

create or replace view commerce.best_sellers as
  select tenant_id, product_id, sum(quantity) as sold, sum(revenue) as revenue, currency
  from commerce.sold_items group by tenant_id, product_id, currency order by sold desc, product_id;

create or replace view commerce.business_figures as
  select tenant_id, currency, sum(sales) as sales, sum(revenue) as revenue, sum(refunded) as refunded,
    round(sum(revenue) / nullif(sum(sales), 0), 2) as average_sale, round(sum(refunded) / nullif(sum(revenue), 0), 4) as refund_share
  from commerce.daily_sales group by tenant_id, currency;
`
