import { ProfileOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'charges',
  title: { en: 'Charges', 'zh-CN': '扣费记录', 'zh-TW': '扣點紀錄' },
  icon: ProfileOutlined,
  group: 'money',
  order: 60,
  need: 'read',
  load: () => import('./Charges'),
});
