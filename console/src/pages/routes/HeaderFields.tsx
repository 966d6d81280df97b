// The headers that a route changes: a line each. A value that went in before is not shown again.

import { Form, Input, Select } from 'antd';
import { useTexts } from '../../i18n/language';
import { LineFields } from '../../ui/LineFields';
import { DEEDS, type HeaderRow, isWithheld, NEW_HEADER } from './headers';
import type { Route } from './Routes';
import { routeTexts } from './texts';

interface Props {
  readonly field: 'request_headers' | 'response_headers';
  readonly title: string;
  readonly before: Route | null;
}

export function HeaderFields({ field: list, title, before }: Props) {
  const t = useTexts(routeTexts);
  return (
    <LineFields
      list={list}
      title={title}
      fresh={NEW_HEADER}
      addLabel={t.addHeader}
      addName={`${title}: ${t.addHeader}`}
      removeName={(number) => `${title}: ${t.removeRow(number)}`}
      note={(lines) => (lines > 1 ? <p className="muted">{t.headersHint}</p> : null)}
    >
      {(place) => <Row list={list} name={place} before={before} />}
    </LineFields>
  );
}

interface RowProps {
  readonly list: Props['field'];
  readonly name: number;
  readonly before: Route | null;
}

function Row({ list, name, before }: RowProps) {
  const t = useTexts(routeTexts);
  const row = Form.useWatch<HeaderRow | undefined>([list, name]);
  const deed = row?.deed ?? 'add';
  const isKept = deed === 'add' && isWithheld(row?.name ?? '', before?.[list]);
  const label = deed === 'rename' ? t.newName : t.value;
  return (
    <>
      <Form.Item name={[name, 'deed']} noStyle>
        <Select aria-label={t.deed} options={DEEDS.map((one) => ({ value: one, label: t[one] }))} />
      </Form.Item>
      <Form.Item name={[name, 'name']} noStyle>
        <Input aria-label={t.header} placeholder={t.header} maxLength={128} />
      </Form.Item>
      <Form.Item name={[name, 'value']} noStyle hidden={deed === 'remove'}>
        <Input
          aria-label={label}
          placeholder={isKept ? t.kept : label}
          maxLength={4096}
          autoComplete="off"
        />
      </Form.Item>
    </>
  );
}
