/** Rate, errors and duration of requests, a row for each service or operation. */

import type { ComponentChildren, JSX } from "preact";
import type { RequestCounts } from "../../frame/answers.ts";
import { count, duration, number, percent } from "../../frame/format.ts";
import { Icon } from "../../frame/icons.tsx";
import { type Column, Table } from "../../frame/table.tsx";
import { type RequestGroup, Sparkline } from "./sparkline.tsx";

/** Properties of {@linkcode RedTable}. */
export interface RedTableProps {
  readonly counts: RequestCounts;
  /** What stands above the names. */
  readonly title: string;
  /** The parameter of the address that says the order. */
  readonly order: string;
  /** While it is the same, rows keep their places. */
  readonly view: string;
  /** The row that is chosen. */
  readonly selected?: string;
  /** What stands for the name. */
  readonly name: (group: RequestGroup) => ComponentChildren;
  /** Where the traces are in which it failed. */
  readonly failed: (group: RequestGroup) => string;
}

/** The table. */
export function RedTable(props: RedTableProps): JSX.Element {
  const { counts, title, name, failed, ...common } = props;
  let max = 1;
  for (const { steps = [] } of counts.groups) {
    for (const { requests } of steps) max = Math.max(max, requests);
  }
  const columns: Column<RequestGroup>[] = [
    { name: "name", head: title, cell: name, by: nameOf, title: nameOf },
    {
      name: "requests",
      head: "Requests",
      isNumber: true,
      cell: ({ requests }) => count(requests),
      by: ({ requests }) => requests,
    },
    {
      name: "rate",
      head: "Rate",
      isNumber: true,
      cell: ({ rate }) => `${number(Number(rate))}/s`,
      by: ({ rate }) => Number(rate),
    },
    {
      name: "errors",
      head: "Errors",
      isNumber: true,
      cell: (group) => <Errors errors={group.errors} of={group.requests} href={failed(group)} />,
      by: ({ errors, requests }) => errors / requests,
    },
    durationColumn("p50", ({ p50Ns }) => p50Ns),
    durationColumn("p95", ({ p95Ns }) => p95Ns),
    durationColumn("p99", ({ p99Ns }) => p99Ns),
  ];
  if (counts.stepMs !== undefined) {
    columns.push({
      name: "steps",
      head: "Over time",
      cell: ({ steps = [] }) => <Sparkline steps={steps} counts={counts} max={max} />,
    });
  }
  return (
    <Table
      name={`requests by ${title}`}
      label={`Requests by ${title}`}
      columns={columns}
      rows={counts.groups}
      rowKey={nameOf}
      usual="requests"
      {...common}
    />
  );
}

function nameOf({ service, operation }: RequestGroup): string {
  return operation ?? service;
}

/** A column of durations in nanoseconds. */
export function durationColumn<R>(name: string, of: (row: R) => string): Column<R> {
  return {
    name,
    head: name,
    isNumber: true,
    cell: (row) => duration(Number(of(row))),
    by: (row) => Number(of(row)),
    title: (row) => `${of(row)} ns`,
  };
}

/** A share of errors, and of how many it is; leads to them where that is known. */
export function Errors(
  { errors, of, href }: {
    readonly errors: number;
    readonly of: number;
    readonly href?: string;
  },
): JSX.Element {
  const text = `${errors} of ${of}`;
  if (errors === 0) return <span class="muted" title={text}>{percent(errors, of)}</span>;
  const share = (
    <>
      <Icon name="error" /> {percent(errors, of)}
    </>
  );
  return href === undefined
    ? <span class="error" title={text}>{share}</span>
    : <a class="error" href={href} title={`${text}: see their traces`}>{share}</a>;
}
