package txn
import ("testing";"context";"path/filepath";"fmt")
func TestShow(t *testing.T){
 h,err:=readEDN(filepath.Join("..","..","..","shared","histories","elle","si-without-g-single.edn"))
 if err!=nil {t.Fatal(err)}
 r:=Checker{Expect:StrictSerial}.Check(context.Background(),h)
 fmt.Println(r.Summary, r.Counts)
 for _,x:=range r.Table.Rows{fmt.Println(x)}
 for _,a:=range r.Anomalies{fmt.Println(a.Kind,a.Summary); for _,s:=range a.Steps{fmt.Println("   ",s)}; fmt.Println(a.SVG)}
}
