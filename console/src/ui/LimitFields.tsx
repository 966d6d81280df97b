// The limits in a form: a row each, named `limits` as in the API.

import { DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Form, InputNumber, Select } from 'antd';
import { useTexts } from '../i18n/language';
import { DIMENSIONS, type LimitRow, NEW_LIMIT, PERS, SPANS } from './limits';
import { limitTexts } from './limitTexts';

interface Props {
  /** What a row says first: what is counted, or of whom requests are counted. */
  readonly first: 'dimension' | 'per';
}

export function LimitFields({ first }: Props) {
  const t = useTexts(limitTexts);
  return (
    <fieldset className="field-list">
      <legend>{t.title}</legend>
      <Form.List name="limits">
        {(fields, { add, remove }, { errors }) => (
          <>
            {fields.map((field) => (
              <div className="field-row" key={field.key}>
                <Row name={field.name} first={first} />
                <Button
                  type="text"
                  icon={<DeleteOutlined />}
                  aria-label={t.remove(field.name + 1)}
                  onClick={() => {
                    remove(field.name);
                  }}
                />
              </div>
            ))}
            <Form.ErrorList errors={errors} />
            <Button
              icon={<PlusOutlined />}
              onClick={() => {
                add(NEW_LIMIT);
              }}
            >
              {t.add}
            </Button>
            {fields.length > 0 ? <p className="muted">{t.amountHint}</p> : null}
          </>
        )}
      </Form.List>
    </fieldset>
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

/** The limits of a row in a table, in words. */
export function LimitWords({ of: limits }: { readonly of: readonly LimitRow[] }) {
  const t = useTexts(limitTexts);
  if (limits.length === 0) return <span className="muted">{t.none}</span>;
  return (
    <ul className="plain-words">
      {limits.map((limit, index) => (
        <li key={index}>
          {limit.amount === null ? t.uncounted : limit.amount} {t[limit.dimension]} /{' '}
          {t[limit.span]}
        </li>
      ))}
    </ul>
  );
}
