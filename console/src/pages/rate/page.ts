import { SwapOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'rate',
  title: { en: 'Exchange rate', 'zh-CN': '汇率', 'zh-TW': '匯率' },
  icon: SwapOutlined,
  group: 'money',
  order: 20,
  need: 'read',
  load: () => import('./Rate'),
});
