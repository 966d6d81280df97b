// The limits in a form: a row each, named `limits` as in the API.

import { Form, InputNumber, Select } from 'antd';
import { useTexts } from '../i18n/language';
import { DIMENSIONS, type LimitRow, NEW_LIMIT, PERS, SPANS } from './limits';
import { LineFields } from './LineFields';
import { limitTexts } from './limitTexts';

interface Props {
  /** What a row says first: what is counted, or of whom requests are counted. */
  readonly first: 'dimension' | 'per';
}

export function LimitFields({ first }: Props) {
  const t = useTexts(limitTexts);
  return (
    <LineFields
      list="limits"
      title={t.title}
      fresh={NEW_LIMIT}
      addLabel={t.add}
      removeName={t.remove}
      note={(lines) => (lines > 0 ? <p className="muted">{t.amountHint}</p> : null)}
    >
      {(place) => <Row name={place} first={first} />}
    </LineFields>
  );
}

function Row({ name, first }: { readonly name: number } & Props) {
  const t = useTexts(limitTexts);
  const names = first === 'per' ? PERS : DIMENSIONS;
  return (
    <>
      <Form.Item name={[name, first]} noStyle>
        <Select
          aria-label={t[first]}
          options={names.map((one) => ({ value: one, label: t[one] }))}
        />
      </Form.Item>
      <Form.Item name={[name, 'amount']} noStyle>
        <InputNumber<string> stringMode min="0" aria-label={t.amount} placeholder={t.amount} />
      </Form.Item>
      <Form.Item name={[name, 'span']} noStyle>
        <Select
          aria-label={t.span}
          options={SPANS.map((span) => ({ value: span, label: t[span] }))}
        />
      </Form.Item>
      {/* Not shown, but kept: the zone that its days begin in. */}
      <Form.Item name={[name, 'zone']} hidden noStyle>
        <input type="hidden" />
      </Form.Item>
    </>
  );
}

interface WordsProps {
  readonly of: readonly LimitRow[];
  /** A route's say of whom they are, too. */
  readonly withPer?: boolean;
}

/** The limits of a row in a table, in words. */
export function LimitWords({ of: limits, withPer = false }: WordsProps) {
  const t = useTexts(limitTexts);
  if (limits.length === 0) return <span className="muted">{t.none}</span>;
  return (
    <ul className="plain-words">
      {limits.map((limit, index) => (
        <li key={index}>
          {limit.amount ?? t.uncounted} {t[limit.dimension]} / {t[limit.span]}
          {withPer ? ` · ${t[limit.per]}` : null}
        </li>
      ))}
    </ul>
  );
}
